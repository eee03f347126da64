"""A constant rate with a fall at the end."""

from dataclasses import dataclass
from typing import Literal, final

from trainers.loop.schedules.base import Position, RunLength, linear_rise
from trainers.support.ranges import check_number


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StableDecay:
    """The peak, then a linear fall to 0, per step: what was trained before the fall is the same for runs of any length.

    With a fall of a fifth it does as well as cosine in the comparison of Hägele et al. 2024, "Scaling Laws and Compute-Optimal
    Training Beyond Fixed Training Durations".
    """

    name: Literal["warm-up-stable-decay"] = "warm-up-stable-decay"
    decay: float = 0.2  # fraction of the steps after the warm-up in which the rate falls

    in_warm_up = staticmethod(linear_rise)

    def __post_init__(self) -> None:
        check_number("decay", self.decay, 0.001, 1)

    def after_warm_up(self, position: Position) -> float:
        """1, then linear to 0."""
        return min(1.0, (1.0 - position.progress) / self.decay)

    def without_effect(self, length: RunLength) -> str:
        """Where the fall is shorter than a step."""
        last = Position(step=length.steps - 1, length=length)
        if not last.is_warm_up and self.after_warm_up(last) < 1.0:
            return ""
        return f"it falls in the last {self.decay:g} of the steps after the warm-up, and that is less than one step"
