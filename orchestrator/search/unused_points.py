"""The points of a search space: how many there are, which are taken, and the nearest one that is not."""

import heapq
import math
import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, final

Place = tuple[float, ...]  # of a point: one number per axis, the same for every way to write the same value


class Axis(Protocol):
    """The values that one hyperparameter may take."""

    @property
    def count(self) -> float:
        """How many there are; infinite for a continuum."""

    def place(self, value: Any) -> float:
        """The number of a value. Raises ValueError for one that is not on the axis."""

    def value(self, place: float) -> Any:
        """The value of a number."""

    def steps(self, origin: float, place: float) -> Iterator[tuple[float, float]]:
        """The next places, seen from `origin`, behind `place`, and how far each is from it; the whole axis measures 1."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Values without an order: each is as far from every other as the ends of an axis are."""

    values: tuple[Any, ...]

    @property
    def count(self) -> float:
        """How many there are."""
        return len(self.values)

    def place(self, value: Any) -> float:
        """Its position in the list of values."""
        return float(self.values.index(value))

    def value(self, place: float) -> Any:
        """The value at this position."""
        return self.values[int(place)]

    def steps(self, origin: float, place: float) -> Iterator[tuple[float, float]]:
        """From the origin to every other value, and no further."""
        if place == origin:
            yield from ((other, 1.0) for other in range(len(self.values)) if other != origin)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """`low`, `low + step`, `low + 2 step`, …: as many as `count` says, which is 1 at least."""

    low: float
    high: float
    step: float
    count: int

    def place(self, value: Any) -> float:
        """How many steps it is above `low`, to the nearest one: 0.3 and 0.1 + 0.2 are the same place."""
        return float(round((value - self.low) / self.step))

    def value(self, place: float) -> Any:
        """The value so many steps above `low`."""
        return min(self.low + int(place) * self.step, self.high)  # a sum of floats may be a little above

    def steps(self, origin: float, place: float) -> Iterator[tuple[float, float]]:
        """One step further away from the origin."""
        for direction in (-1, 1):
            if (place - origin) * direction >= 0 and 0 <= place + direction < self.count:
                yield place + direction, 1 / (self.count - 1)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Continuum:
    """Every number of a range."""

    count: float = math.inf

    def place(self, value: Any) -> float:
        """The number itself."""
        return float(value)

    def value(self, place: float) -> Any:
        """The number itself."""
        return place

    def steps(self, origin: float, place: float) -> Iterator[tuple[float, float]]:  # noqa: ARG002 - none is the next
        """None: no number is the next one."""
        return iter(())


@final
class Points:
    """All points of a space with these axes, which are named."""

    def __init__(self, axes: Mapping[str, Axis]) -> None:
        self._axes = dict(axes)

    @property
    def count(self) -> float:
        """How many points there are; infinite where an axis is a continuum. A space without axes has one point."""
        return math.prod(axis.count for axis in self._axes.values())

    def place(self, params: Mapping[str, Any]) -> Place:
        """Where the point with these values is; `params` may name more than the axes."""
        return tuple(axis.place(params[name]) for name, axis in self._axes.items())

    def nearest(
        self, params: Mapping[str, Any], taken: Collection[Place], fixed: Collection[str], seed: int
    ) -> dict[str, Any] | None:
        """The point nearest to `params` that is not taken, with the values of the axes in `fixed` unchanged; None without one.

        Distances are sums over the axes, each of which measures 1 from end to end. `seed` decides among equally near ones.
        Points are looked at in the order of their distance, so that few more of them are visited than are taken.
        """
        draw = random.Random(seed)
        axes = list(self._axes.items())
        origin = self.place(params)
        seen = {origin}
        waiting = [(0.0, 0.0, origin)]
        while waiting:
            distance, _, place = heapq.heappop(waiting)
            if place not in taken:
                return {name: axis.value(where) for (name, axis), where in zip(axes, place, strict=True)}
            for index, (name, axis) in enumerate(axes):
                if name in fixed:
                    continue
                for further, length in axis.steps(origin[index], place[index]):
                    reached = (*place[:index], further, *place[index + 1 :])
                    if reached not in seen:
                        seen.add(reached)
                        heapq.heappush(waiting, (distance + length, draw.random(), reached))
        return None
