"""Checks for hyperparameters: a value that cannot be used is refused with the values that can."""

import math
from collections.abc import Iterable


def check_number(name: str, value: object, low: float, high: float, *, below: bool = False) -> None:
    """Raise ValueError unless `value` is a number in [low, high], or in [low, high) where `below` is set."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and low <= value <= high
    if not good or (below and value == high):
        raise ValueError(f"{name} must be a number in [{low:g}, {high:g}{')' if below else ']'}, not {value!r}")


def check_positive(name: str, value: float, high: float) -> None:
    """Raise ValueError unless `value` is a number in (0, high], 0 being a setting without effect."""
    check_number(name, value, 0, high)
    if value == 0:
        raise ValueError(f"{name} 0 would do nothing: leave it out")


def check_probability(value: float) -> None:
    """Raise ValueError unless `value` is a probability in (0, 1]."""
    check_positive("probability", value, 1)


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raise ValueError unless `value` is a whole number in [low, high]."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {value!r}")


def check_choice(name: str, value: object, known: Iterable[str]) -> None:
    """Raise ValueError unless `value` is one of the known names."""
    names = sorted(known)
    if value not in names:
        raise ValueError(f"{name} must be one of {', '.join(names)}, not {value!r}")
