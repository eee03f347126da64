"""What a benchmark hands back: measured figures with their spread, and the claims that they decide."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

_LEVEL = 0.95  # that an interval has where there are values enough: 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Where a quantity lies, with the probability `level` of having caught it."""

    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One quantity, measured once or more often."""

    name: str
    unit: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError(f"{self.name} was never measured")

    @property
    def median(self) -> float:
        """Of all values."""
        return statistics.median(self.values)

    @property
    def interval(self) -> Interval | None:
        """Of the median that more rounds would come to; None where there are too few values to say anything.

        From one value to another in their order: the narrowest such pair that catches it with 95 %, or else the lowest and the
        highest. It takes nothing for granted but independent rounds (Conover 1999, Practical Nonparametric Statistics, 3.2).
        """
        n = len(self.values)
        if n < 3:
            return None
        ordered = sorted(self.values)
        cut, missed = 0, 2.0**-n  # the probability that the median lies below the value with the number `cut`
        while (more := missed + math.comb(n, cut + 1) * 2.0**-n) <= (1 - _LEVEL) / 2:
            cut, missed = cut + 1, more
        return Interval(low=ordered[cut], high=ordered[-1 - cut], level=1 - 2 * missed)

    def plain(self) -> dict[str, Any]:
        """For the JSON file: every value, so that another statistic can be had."""
        return {
            "name": self.name,
            "unit": self.unit,
            "n": len(self.values),
            "median": self.median,
            "interval": asdict(self.interval) if self.interval else None,
            "values": list(self.values),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A figure that must be at most, or at least, so much. Its median decides. `must` None: it is only reported."""

    figure: Figure
    sense: Literal["at most", "at least"] = "at most"
    must: float | None
    aim: float | None = None

    def meets(self, bound: float) -> bool:
        """Whether the median is on the right side."""
        return self.figure.median <= bound if self.sense == "at most" else self.figure.median >= bound

    @property
    def holds(self) -> bool:
        """Whether the must is met."""
        return self.must is None or self.meets(self.must)

    @property
    def verdict(self) -> str:
        """In words."""
        if not self.holds:
            return "**missed**"
        aimed = self.aim is None or self.meets(self.aim)
        if self.must is not None:
            return "met" if aimed else "met; not the aim"
        if self.aim is None:
            return "for information"
        return "aim met" if aimed else "aim missed"

    def plain(self) -> dict[str, Any]:
        """For the JSON file."""
        return {**self.figure.plain(), "sense": self.sense, "must": self.must, "aim": self.aim, "holds": self.holds}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one benchmark found. `conditions` says what was run, so that it can be judged and run again."""

    name: str
    title: str
    conditions: str
    figures: tuple[Figure, ...]
    claims: tuple[Claim, ...]

    def plain(self) -> dict[str, Any]:
        """For the JSON file."""
        return {
            "title": self.title,
            "conditions": self.conditions,
            "figures": [figure.plain() for figure in self.figures],
            "claims": [claim.plain() for claim in self.claims],
        }


def ratio(name: str, one: Sequence[float], other: Sequence[float]) -> Figure:
    """`one` to `other`, round by round: what slows the machine for a while slows both sides of a round."""
    return Figure(name=name, unit="×", values=tuple(a / b for a, b in zip(one, other, strict=True)))
