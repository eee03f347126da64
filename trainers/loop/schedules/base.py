"""What a learning-rate schedule is: a pure function of the step's position in a run and of the validation losses before it.

Nothing is advanced from step to step, so no schedule can be advanced in the wrong unit: the rate of any step can be computed at
any time. Each schedule decides whether it moves at each step, or between epochs.
"""

import math
from dataclasses import dataclass
from typing import Protocol, final

from trainers.support.ranges import check_number


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunLength:
    """How long a schedule acts: a run, or a phase of one."""

    epochs: int
    steps_per_epoch: int
    warmup: float  # fraction of all steps in which the rate rises to its peak

    @property
    def steps(self) -> int:
        """Of all epochs."""
        return self.epochs * self.steps_per_epoch

    @property
    def warmup_steps(self) -> int:
        """Steps of the warm-up."""
        return round(self.warmup * self.epochs * self.steps_per_epoch)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A step of a run or phase. Steps and epochs are counted from its beginning."""

    step: int  # from 0
    length: RunLength
    val_losses: tuple[float, ...] = ()  # of the epochs that are done

    @property
    def is_warm_up(self) -> bool:
        """Whether the rate is still rising."""
        return self.step < self.length.warmup_steps

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return self.step // self.length.steps_per_epoch

    @property
    def progress(self) -> float:
        """The fraction in [0, 1) of the steps after the warm-up that are done."""
        return self._fraction(self.step)

    @property
    def progress_of_epoch(self) -> float:
        """The same at the first step of the epoch; 0 while that is in the warm-up."""
        return self._fraction(max(self.epoch * self.length.steps_per_epoch, self.length.warmup_steps))

    @property
    def warmup_epochs(self) -> int:
        """Epochs of which a part, or all, is warm-up."""
        return math.ceil(self.length.warmup_steps * self.length.epochs / self.length.steps)

    def _fraction(self, step: int) -> float:
        return (step - self.length.warmup_steps) / (self.length.steps - self.length.warmup_steps)


class Schedule(Protocol):
    """The course of the learning rate, as fractions of its peak. A dataclass with a `name`, by which recipes choose it."""

    @property
    def name(self) -> str:
        """The name in recipes."""

    def in_warm_up(self, position: Position) -> float:
        """The fraction at a step of the warm-up."""

    def after_warm_up(self, position: Position) -> float:
        """The fraction at a later step."""

    def without_effect(self, length: RunLength) -> str:
        """Why this schedule, or a part of it, would never act in a run of this length, or ""."""


def linear_rise(position: Position) -> float:
    """From one part of the peak, not from 0, to the peak."""
    return (position.step + 1) / position.length.warmup_steps


def check_factor(factor: float) -> None:
    """Raise ValueError for a factor by which a rate cannot fall."""
    check_number("factor", factor, 0, 1, below=True)
    if factor == 0:
        raise ValueError("factor 0 would end all training: use fewer epochs")
