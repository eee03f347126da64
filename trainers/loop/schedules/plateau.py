"""A schedule that depends on what was measured."""

import math
from dataclasses import dataclass
from typing import Literal, final

from trainers.loop.schedules.base import Position, RunLength, check_factor, linear_rise
from trainers.support.ranges import check_whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau:
    """Falls by a factor when the validation loss has not become lower for so many epochs (as torch's ReduceLROnPlateau).

    Any lower loss counts; torch's own default asks for a ten-thousandth less. Epochs with a part of the warm-up do not count: the
    rate does not fall while it rises.
    """

    name: Literal["plateau"] = "plateau"
    factor: float = 0.1
    patience: int = 5  # epochs without a lower loss that are tolerated

    in_warm_up = staticmethod(linear_rise)

    def __post_init__(self) -> None:
        check_factor(self.factor)
        check_whole("patience", self.patience, 1, 100_000)

    def after_warm_up(self, position: Position) -> float:
        """As many factors as falls so far."""
        falls, without_progress, lowest = 0, 0, math.inf
        for loss in position.val_losses[position.warmup_epochs :]:
            without_progress = 0 if loss < lowest else without_progress + 1
            lowest = min(lowest, loss)
            if without_progress > self.patience:
                falls, without_progress = falls + 1, 0
        return float(self.factor**falls)

    def without_effect(self, length: RunLength) -> str:
        """Where the run ends before the rate can fall."""
        # The first epoch that counts has none to be compared with, and what is found after the last one comes too late.
        earliest = math.ceil(length.warmup * length.epochs - 1e-9) + self.patience + 2
        if length.epochs > earliest:
            return ""
        return f"it can fall after {earliest} epochs at the earliest, and there are {length.epochs}"
