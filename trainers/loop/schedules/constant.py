"""No schedule but the warm-up."""

from dataclasses import dataclass
from typing import Literal, final

from trainers.loop.schedules.base import Position, RunLength, linear_rise


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """The peak, until the end."""

    name: Literal["constant"] = "constant"

    in_warm_up = staticmethod(linear_rise)

    def after_warm_up(self, position: Position) -> float:  # noqa: ARG002 - the same everywhere
        """Always the peak."""
        return 1.0

    def without_effect(self, length: RunLength) -> str:  # noqa: ARG002 - acts in every run
        """Never."""
        return ""
