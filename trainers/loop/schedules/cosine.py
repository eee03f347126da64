"""Schedules made of half cosines."""

import math
from dataclasses import dataclass
from typing import Literal, final

from trainers.loop.schedules.base import Position, RunLength, linear_rise
from trainers.support.ranges import check_number


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine:
    """Half a cosine, from the peak to 0: SGDR without restarts (Loshchilov and Hutter 2017, equation 5)."""

    name: Literal["cosine"] = "cosine"
    per: Literal["step", "epoch"] = "step"

    in_warm_up = staticmethod(linear_rise)

    def after_warm_up(self, position: Position) -> float:
        """From 1 to 0."""
        progress = position.progress if self.per == "step" else position.progress_of_epoch
        return 0.5 * (1.0 + math.cos(math.pi * progress))

    def without_effect(self, length: RunLength) -> str:
        """Where it moves between epochs, and no two epochs come after the warm-up."""
        if self.per == "step":
            return ""
        if length.epochs == 1:
            return "it moves between epochs, and there is one"
        warm = length.warmup * length.epochs >= length.epochs - 1
        return "it moves between epochs, and all but the last are warm-up" if warm else ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OneCycle:
    """Rises by half a cosine during the warm-up, falls by another to nearly 0, per step (Smith and Topin 2018).

    As torch's OneCycleLR; but only the rate follows the cycle: torch's also moves the momentum the other way.
    """

    name: Literal["one-cycle"] = "one-cycle"
    start: float = 0.04  # fraction of the peak at the first step
    end: float = 4e-6  # fraction of the peak at the last step

    def __post_init__(self) -> None:
        check_number("start", self.start, 0, 1)
        check_number("end", self.end, 0, 1)
        if self.start == self.end == 1:
            raise ValueError("from start 1 to end 1 the rate would stay what it is: that schedule is constant")

    def in_warm_up(self, position: Position) -> float:
        """From `start` to 1."""
        rising = position.length.warmup_steps
        return _between(self.start, 1.0, position.step / (rising - 1)) if rising > 1 else 1.0

    def after_warm_up(self, position: Position) -> float:
        """From 1 to `end`."""
        rising = position.length.warmup_steps
        done = position.step - rising + (1 if rising else 0)
        return _between(1.0, self.end, done / max(position.length.steps - max(rising, 1), 1))

    def without_effect(self, length: RunLength) -> str:
        """Where there is no warm-up to rise in."""
        return "" if length.warmup else "it rises in the warm-up, and there is none"


def _between(first: float, last: float, progress: float) -> float:
    """Half a cosine from one value to the other."""
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * progress))
