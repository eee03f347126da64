"""Schedules that fall by a factor between epochs that are known beforehand."""

from dataclasses import dataclass
from typing import Literal, final

from trainers.loop.schedules.base import Position, RunLength, check_factor, linear_rise
from trainers.support.ranges import check_whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StepDecay:
    """Falls by a factor every so many epochs (torch's StepLR)."""

    name: Literal["step"] = "step"
    every: int  # epochs
    factor: float = 0.1

    in_warm_up = staticmethod(linear_rise)

    def __post_init__(self) -> None:
        check_whole("every", self.every, 1, 100_000)
        check_factor(self.factor)

    def after_warm_up(self, position: Position) -> float:
        """As many factors as falls so far."""
        return float(self.factor ** (position.epoch // self.every))

    def without_effect(self, length: RunLength) -> str:
        """Where the first fall comes after the end, or in the warm-up."""
        if self.every >= length.epochs:
            return f"it falls every {self.every} epochs, and there are {length.epochs}"
        return _too_early(self.every, length)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MultiStep:
    """Falls by a factor after each of these epochs (torch's MultiStepLR)."""

    name: Literal["multi-step"] = "multi-step"
    at: tuple[int, ...]  # epochs that are done
    factor: float = 0.1

    in_warm_up = staticmethod(linear_rise)

    def __post_init__(self) -> None:
        if not self.at or list(self.at) != sorted(set(self.at)) or self.at[0] < 1:
            raise ValueError(f"at must be whole numbers from 1 on, each larger than the one before, not {list(self.at)}")
        check_factor(self.factor)

    def after_warm_up(self, position: Position) -> float:
        """As many factors as falls so far."""
        return float(self.factor ** sum(epoch <= position.epoch for epoch in self.at))

    def without_effect(self, length: RunLength) -> str:
        """Where the last fall comes after the end, or the first one in the warm-up."""
        if self.at[-1] >= length.epochs:
            return f"it falls after epoch {self.at[-1]}, and there are {length.epochs}"
        return _too_early(self.at[0], length)


def _too_early(fall: int, length: RunLength) -> str:
    """Why a first fall after so many epochs would come while the rate still rises, or ""."""
    return f"it falls after {fall} epochs, in the warm-up" if fall < length.warmup * length.epochs - 1e-9 else ""
