"""Learning-rate schedules, as pure functions of the step and of what was measured before it.

A recipe names a shape, one of the dataclasses here, with its settings; a `Schedule` is that shape in a run of a certain length.
Every shape knows its unit: whether it moves at each step, or between epochs. Nothing is stepped along, so nothing can be
stepped in the wrong unit or come out of step: the rate of any step can be computed at any time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from orchestrator.errors import InvalidInput
from trainers.support.ranges import check_number, check_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A step in a run or phase. Steps and epochs that are done are counted from its beginning."""

    step: int
    steps: int  # of the whole run
    rising: int  # of these, in the warm-up
    epoch: int
    epochs: int  # of the whole run
    val_losses: tuple[float, ...]  # of the epochs that are done

    @property
    def progress(self) -> float:
        """The fraction in [0, 1) of the steps after the warm-up that are done."""
        return (self.step - self.rising) / (self.steps - self.rising)

    @property
    def rising_epochs(self) -> int:
        """Epochs of which a part, or all, is warm-up."""
        return math.ceil(self.rising * self.epochs / self.steps)

    @property
    def progress_of_epoch(self) -> float:
        """The same at the first step of the epoch; 0 while that is in the warm-up."""
        first = self.epoch * self.steps // self.epochs
        return max(first - self.rising, 0) / (self.steps - self.rising)


class Shape(Protocol):
    """The course of the rate, as fractions of its peak."""

    def rise(self, place: Place) -> float:
        """During the warm-up."""

    def after(self, place: Place) -> float:
        """After it."""

    def without_effect(self, epochs: int, warmup: float) -> str:
        """Why this shape, or a part of it, would never act in so many epochs, or ""; `warmup` is the fraction that rises."""


def _linear(place: Place) -> float:
    """From one part of the peak, not from 0, to the peak."""
    return (place.step + 1) / place.rising


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """The peak, until the end."""

    name: Literal["constant"] = "constant"

    rise = staticmethod(_linear)

    def after(self, place: Place) -> float:  # noqa: ARG002
        """After the warm-up."""
        return 1.0

    def without_effect(self, epochs: int, warmup: float) -> str:  # noqa: ARG002
        """Why it would never act, or ""."""
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Falls by a factor every so many epochs (torch's StepLR)."""

    name: Literal["step"] = "step"
    every: int  # epochs
    factor: float = 0.1

    rise = staticmethod(_linear)

    def __post_init__(self) -> None:
        check_whole("every", self.every, 1, 100_000)
        _check_factor(self.factor)

    def after(self, place: Place) -> float:
        """After the warm-up."""
        return float(self.factor ** (place.epoch // self.every))

    def without_effect(self, epochs: int, warmup: float) -> str:
        """Why it would never act, or ""."""
        if self.every >= epochs:
            return f"it falls every {self.every} epochs, and there are {epochs}"
        return _too_early(self.every, epochs, warmup)


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiStep:
    """Falls by a factor after each of these epochs (torch's MultiStepLR)."""

    name: Literal["multi-step"] = "multi-step"
    at: tuple[int, ...]  # epochs that are done
    factor: float = 0.1

    rise = staticmethod(_linear)

    def __post_init__(self) -> None:
        if not self.at or list(self.at) != sorted(set(self.at)) or self.at[0] < 1:
            raise ValueError(f"at must be whole numbers from 1 on, each larger than the one before, not {list(self.at)}")
        _check_factor(self.factor)

    def after(self, place: Place) -> float:
        """After the warm-up."""
        return float(self.factor ** sum(epoch <= place.epoch for epoch in self.at))

    def without_effect(self, epochs: int, warmup: float) -> str:
        """Why it would never act, or ""."""
        if self.at[-1] >= epochs:
            return f"it falls after epoch {self.at[-1]}, and there are {epochs}"
        return _too_early(self.at[0], epochs, warmup)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine:
    """Half a cosine, from the peak to 0: SGDR without restarts (Loshchilov and Hutter 2017, equation 5)."""

    name: Literal["cosine"] = "cosine"
    per: Literal["step", "epoch"] = "step"

    rise = staticmethod(_linear)

    def after(self, place: Place) -> float:
        """After the warm-up."""
        progress = place.progress if self.per == "step" else place.progress_of_epoch
        return 0.5 * (1.0 + math.cos(math.pi * progress))

    def without_effect(self, epochs: int, warmup: float) -> str:
        """Why it would never act, or ""."""
        if self.per == "step":
            return ""
        if epochs == 1:
            return "it moves between epochs, and there is one"
        return "it moves between epochs, and all but the last are warm-up" if warmup * epochs >= epochs - 1 else ""


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

    def rise(self, place: Place) -> float:
        """During the warm-up."""
        return _between(self.start, 1.0, place.step / (place.rising - 1)) if place.rising > 1 else 1.0

    def after(self, place: Place) -> float:
        """After the warm-up."""
        done = place.step - place.rising + (1 if place.rising else 0)
        return _between(1.0, self.end, done / max(place.steps - max(place.rising, 1), 1))

    def without_effect(self, epochs: int, warmup: float) -> str:  # noqa: ARG002
        """Why it would never act, or ""."""
        return "" if warmup else "it rises in the warm-up, and there is none"


@dataclass(frozen=True, slots=True, kw_only=True)
class StableDecay:
    """The peak, then a linear fall to 0, per step: what was trained before the fall is the same for runs of any length.

    With a fall of a fifth it does as well as cosine in the comparison of Hägele et al. 2024, "Scaling Laws and Compute-Optimal
    Training Beyond Fixed Training Durations".
    """

    name: Literal["warm-up-stable-decay"] = "warm-up-stable-decay"
    decay: float = 0.2  # fraction of the steps after the warm-up in which the rate falls

    rise = staticmethod(_linear)

    def __post_init__(self) -> None:
        check_number("decay", self.decay, 0.001, 1)

    def after(self, place: Place) -> float:
        """After the warm-up."""
        return min(1.0, (1.0 - place.progress) / self.decay)

    def without_effect(self, epochs: int, warmup: float) -> str:  # noqa: ARG002
        """Why it would never act, or ""."""
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau:
    """Falls by a factor when the validation loss has not become lower for so many epochs (as torch's ReduceLROnPlateau).

    Any lower loss counts; torch's own default asks for a ten-thousandth less. Epochs with a part of the warm-up do not count: the
    rate does not fall while it rises.
    """

    name: Literal["plateau"] = "plateau"
    factor: float = 0.1
    patience: int = 5  # epochs without a lower loss that are borne

    rise = staticmethod(_linear)

    def __post_init__(self) -> None:
        _check_factor(self.factor)
        check_whole("patience", self.patience, 1, 100_000)

    def after(self, place: Place) -> float:
        """After the warm-up."""
        falls, waited, lowest = 0, 0, math.inf
        for loss in place.val_losses[place.rising_epochs :]:
            waited = 0 if loss < lowest else waited + 1
            lowest = min(lowest, loss)
            if waited > self.patience:
                falls, waited = falls + 1, 0
        return float(self.factor**falls)

    def without_effect(self, epochs: int, warmup: float) -> str:
        """Why it would never act, or ""."""
        # The first epoch that counts has nothing to fall behind, and what is found after the last one comes too late.
        earliest = math.ceil(warmup * epochs - 1e-9) + self.patience + 2
        return "" if epochs > earliest else f"it can fall after {earliest} epochs at the earliest, and there are {epochs}"


AnyShape = Constant | Step | MultiStep | Cosine | OneCycle | StableDecay | Plateau


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The learning rate of every step of a run or a phase: a rise over the warm-up, then the shape.

    `warmup` is a fraction of all steps. Raises InvalidInput for a shape that would have no effect in so many epochs.
    """

    shape: Shape
    peak: float  # the highest learning rate
    warmup: float
    epochs: int
    steps_per_epoch: int

    def __post_init__(self) -> None:
        why = self.shape.without_effect(self.epochs, self.warmup)
        if not why and isinstance(self.shape, StableDecay) and self.rate(self.epochs * self.steps_per_epoch - 1) == self.peak:
            why = f"it falls in the last {self.shape.decay:g} of the steps after the warm-up, and that is not one"
        if why:
            raise InvalidInput(f"the schedule {getattr(self.shape, 'name', '')!r} does not fit: {why}")

    @property
    def rising(self) -> int:
        """Steps of the warm-up."""
        return round(self.warmup * self.epochs * self.steps_per_epoch)

    def rate(self, step: int, val_losses: Sequence[float] = ()) -> float:
        """The learning rate of the step with this number, 0 being the first one, after epochs with these validation losses."""
        place = Place(
            step=step,
            steps=self.epochs * self.steps_per_epoch,
            rising=self.rising,
            epoch=step // self.steps_per_epoch,
            epochs=self.epochs,
            val_losses=tuple(val_losses),
        )
        return self.peak * (self.shape.rise(place) if step < place.rising else self.shape.after(place))


def _between(first: float, last: float, progress: float) -> float:
    """Half a cosine from one value to the other."""
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * progress))


def _too_early(fall: int, epochs: int, warmup: float) -> str:
    """Why a first fall after so many epochs would come while the rate still rises, or ""."""
    return f"it falls after {fall} epochs, in the warm-up" if fall < warmup * epochs - 1e-9 else ""


def _check_factor(factor: float) -> None:
    check_number("factor", factor, 0, 1, below=True)
    if factor == 0:
        raise ValueError("factor 0 would end all training: use fewer epochs")
