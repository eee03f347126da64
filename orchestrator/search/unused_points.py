"""The points of a search space: how many there are, which are taken, and the nearest one that is not."""

import heapq
import math
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, final

from orchestrator.errors import InvalidInput
from orchestrator.support.serialization import comparable
from orchestrator.support.wording import in_full

Coordinates = tuple[float, ...]  # of a point: one number per axis, the same for every way to write the same value


class Axis(Protocol):
    """The values that one hyperparameter may take."""

    @property
    def count(self) -> float:
        """The number of values; infinite for a continuum."""

    def coordinate(self, value: Any) -> float:
        """The coordinate of a value. Raises ValueError for one that is not on the axis."""

    def value(self, coordinate: float) -> Any:
        """The value at a coordinate."""

    def choice(self, value: Any) -> Any:
        """The same value as the space writes it. Raises ValueError for one that is not on the axis."""

    def neighbours(self, origin: float, coordinate: float) -> Iterator[tuple[float, float]]:
        """The next coordinates after `coordinate`, seen from `origin`, and their distances; the axis measures 1."""


@final
@dataclass(frozen=True, kw_only=True)
class Choices:
    """Values without an order: each is as far from every other as the ends of an axis are.

    `written` gives the text that all ways to write a value share.
    """

    values: tuple[Any, ...]
    written: Callable[[Any], str] = comparable

    @property
    def count(self) -> float:
        """The number of choices."""
        return len(self.values)

    def coordinate(self, value: Any) -> float:
        """The index of the value, in whatever way it is written. Raises ValueError."""
        try:
            return float(self._texts.index(self.written(value)))
        except (ValueError, InvalidInput):
            raise ValueError(f"{in_full(value)} is none of {', '.join(map(in_full, self.values))}") from None

    def value(self, coordinate: float) -> Any:
        """The value at this index."""
        return self.values[int(coordinate)]

    def choice(self, value: Any) -> Any:
        """The value as it stands among the values. Raises ValueError."""
        return self.value(self.coordinate(value))

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        """The texts of the values. Made when they are first needed: it may take loading a trainer."""
        return tuple(map(self.written, self.values))

    def neighbours(self, origin: float, coordinate: float) -> Iterator[tuple[float, float]]:
        """From the origin to every other value, and no further."""
        if coordinate == origin:
            yield from ((other, 1.0) for other in range(len(self.values)) if other != origin)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """`low`, `low + step`, `low + 2 step`, …: as many as `count` says, which is 1 at least."""

    low: float
    high: float
    step: float
    count: int

    def coordinate(self, value: Any) -> float:
        """The number of steps above `low`, to the nearest one: 0.3 and 0.1 + 0.2 have the same coordinate. Raises ValueError."""
        steps = self.nearest(_number(value))
        nearest = self.value(steps)
        if not math.isclose(nearest, value, rel_tol=1e-9, abs_tol=1e-12):
            raise ValueError(f"{value!r} is not on its grid of steps; the nearest value is {nearest}")
        return steps

    def nearest(self, value: float) -> float:
        """The number of steps above `low` of the grid's value that is nearest to this one."""
        return float(min(max(round((value - self.low) / self.step), 0), self.count - 1))

    def value(self, coordinate: float) -> Any:
        """The value so many steps above `low`."""
        return min(self.low + int(coordinate) * self.step, self.high)  # a sum of floats may be a little above

    def choice(self, value: Any) -> Any:
        """A whole number where the steps are whole; of other steps the value itself, to the last bit. Raises ValueError."""
        coordinate = self.coordinate(value)
        return self.value(coordinate) if isinstance(self.step, int) else value

    def neighbours(self, origin: float, coordinate: float) -> Iterator[tuple[float, float]]:
        """One step further away from the origin."""
        for direction in (-1, 1):
            if (coordinate - origin) * direction >= 0 and 0 <= coordinate + direction < self.count:
                yield coordinate + direction, 1 / (self.count - 1)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Continuum:
    """Every number of a range."""

    low: float = -math.inf
    high: float = math.inf
    count: float = math.inf

    def coordinate(self, value: Any) -> float:
        """The number itself. Raises ValueError."""
        number = float(_number(value))
        if not self.low <= number <= self.high:
            raise ValueError(f"{value!r} is outside {self.low} to {self.high}")
        return number

    def value(self, coordinate: float) -> Any:
        """The number itself."""
        return coordinate

    def choice(self, value: Any) -> Any:
        """The number itself. Raises ValueError."""
        self.coordinate(value)
        return value

    def neighbours(self, origin: float, coordinate: float) -> Iterator[tuple[float, float]]:  # noqa: ARG002 - a continuum has none
        """None: no number is the next one."""
        return iter(())


def _number(value: Any) -> float:
    """The value, which must be a finite number, as True is not. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return value


@final
class Points:
    """All points of a space with these named axes."""

    def __init__(self, axes: Mapping[str, Axis]) -> None:
        self._axes = dict(axes)

    @property
    def count(self) -> float:
        """The number of points; infinite where an axis is a continuum. A space without axes has one point."""
        return math.prod(axis.count for axis in self._axes.values())

    def coordinates(self, params: Mapping[str, Any]) -> Coordinates:
        """The coordinates of the point with these values; `params` may name more than the axes. Raises ValueError."""
        return tuple(axis.coordinate(params[name]) for name, axis in self._axes.items())

    @property
    def names(self) -> Set[str]:
        """The names of the axes."""
        return self._axes.keys()

    def located(self, params: Mapping[str, Any]) -> dict[str, float]:
        """Name -> coordinate, of the values in `params` that are on an axis. Raises ValueError."""
        return {name: axis.coordinate(params[name]) for name, axis in self._axes.items() if name in params}

    def setting(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The values in `params` that are on an axis, each as the space writes it. Raises ValueError."""
        return {name: axis.choice(params[name]) for name, axis in self._axes.items() if name in params}

    def nearest(
        self, params: Mapping[str, Any], taken: Collection[Coordinates], fixed: Collection[str], seed: int
    ) -> dict[str, Any] | None:
        """The point nearest to `params` that is not taken, with the values of the axes in `fixed` unchanged; None without one.

        Distances are sums over the axes, each of which measures 1 from end to end. `seed` decides among equally near ones.
        Points are visited in the order of their distance, so that few more of them are visited than are taken.
        """
        draw = random.Random(seed)
        axes = list(self._axes.items())
        origin = self.coordinates(params)
        seen = {origin}
        waiting = [(0.0, 0.0, origin)]
        while waiting:
            distance, _, point = heapq.heappop(waiting)
            if point not in taken:
                return {name: axis.value(coordinate) for (name, axis), coordinate in zip(axes, point, strict=True)}
            for index, (name, axis) in enumerate(axes):
                if name in fixed:
                    continue
                for further, length in axis.neighbours(origin[index], point[index]):
                    reached = (*point[:index], further, *point[index + 1 :])
                    if reached not in seen:
                        seen.add(reached)
                        heapq.heappush(waiting, (distance + length, draw.random(), reached))
        return None
