"""The schedules that a recipe can name, and the learning rate that follows one.

A new schedule is a dataclass that implements `Schedule`, in a file here, and a name in `AnySchedule`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from orchestrator.errors import InvalidInput
from trainers.loop.schedules.base import Position, RunLength, Schedule
from trainers.loop.schedules.constant import Constant
from trainers.loop.schedules.cosine import Cosine, OneCycle
from trainers.loop.schedules.plateau import Plateau
from trainers.loop.schedules.stable_decay import StableDecay
from trainers.loop.schedules.step_decay import MultiStep, StepDecay

AnySchedule = Constant | StepDecay | MultiStep | Cosine | OneCycle | StableDecay | Plateau


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRate:
    """The learning rate of every step of a run or a phase. Raises InvalidInput for a schedule that would not act in it."""

    schedule: Schedule
    peak: float  # the highest learning rate
    length: RunLength

    def __post_init__(self) -> None:
        if why := self.schedule.without_effect(self.length):
            raise InvalidInput(f"the schedule {self.schedule.name!r} does not fit: {why}")

    def at(self, step: int, val_losses: Sequence[float] = ()) -> float:
        """The learning rate of the step with this number, 0 being the first one, after epochs with these validation losses."""
        position = Position(step=step, length=self.length, val_losses=tuple(val_losses))
        course = self.schedule.in_warm_up if position.is_warm_up else self.schedule.after_warm_up
        return self.peak * course(position)
