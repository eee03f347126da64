"""The points of a search space: counted, told apart, and the nearest free one found."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.search.unused_points import Axis, Choices, Continuum, Grid, Points

AXES: dict[str, Axis] = {
    "size": Grid(low=16, high=64, step=16, count=4),
    "rate": Choices(values=(0.001, 0.01, 0.1)),
    "dropout": Grid(low=0.1, high=0.3, step=0.1, count=3),
}
GRID = Points(AXES)
ALL = [
    dict(zip(AXES, values, strict=True)) for values in itertools.product((16, 32, 48, 64), (0.001, 0.01, 0.1), (0.1, 0.2, 0.3))
]


def distance(one: dict[str, float], other: dict[str, float]) -> float:
    return (
        abs(one["size"] - other["size"]) / 48 + float(one["rate"] != other["rate"]) + abs(one["dropout"] - other["dropout"]) / 0.2
    )


def test_points_are_counted() -> None:
    assert GRID.count == len(ALL) == len({GRID.coordinates(point) for point in ALL})
    assert Points({}).count == 1
    assert Points({**AXES, "momentum": Continuum()}).count == math.inf


def test_one_point_has_the_same_coordinates_however_its_numbers_came_about() -> None:
    assert GRID.coordinates({"size": 32.0, "rate": 0.01, "dropout": 0.1 + 0.2}) == GRID.coordinates(
        {"size": 32, "rate": 0.01, "dropout": 0.3}
    )
    with pytest.raises(ValueError, match="is none of"):
        GRID.coordinates({"size": 32, "rate": 0.02, "dropout": 0.3})


@given(taken=st.sets(st.integers(0, len(ALL) - 1)), start=st.integers(0, len(ALL) - 1), seed=st.integers(0, 9))
def test_the_nearest_free_point_is_the_nearest_of_all_free_ones(taken: set[int], start: int, seed: int) -> None:
    taken_points = {GRID.coordinates(ALL[index]) for index in taken}
    found = GRID.nearest(ALL[start], taken_points, (), seed)
    free = [point for index, point in enumerate(ALL) if index not in taken]
    if not free:
        assert found is None
        return
    assert found is not None
    assert GRID.coordinates(found) not in taken_points
    assert distance(found, ALL[start]) == pytest.approx(min(distance(point, ALL[start]) for point in free))
    assert found == GRID.nearest(ALL[start], taken_points, (), seed)
    assert found["dropout"] <= 0.3  # three steps of .1 are a little more


def test_what_is_fixed_stays() -> None:
    start = {"size": 16, "rate": 0.01, "dropout": 0.1}
    taken_points = {GRID.coordinates({**start, "dropout": dropout}) for dropout in (0.1, 0.2)}
    assert GRID.nearest(start, taken_points, ("size", "rate"), 0) == {**start, "dropout": 0.3}
    taken_points.add(GRID.coordinates({**start, "dropout": 0.3}))
    assert GRID.nearest(start, taken_points, ("size", "rate"), 0) is None


def test_a_continuum_keeps_its_value_beside_axes_that_have_steps() -> None:
    mixed = Points({"size": AXES["size"], "rate": Continuum()})
    start = {"size": 32, "rate": 0.1234567890123}
    found = mixed.nearest(start, {mixed.coordinates(start)}, (), 0)
    assert found is not None
    assert found["rate"] == start["rate"]
    assert found["size"] in (16, 48)
    alone = Points({"rate": Continuum()})
    assert alone.nearest(start, {alone.coordinates(start)}, (), 0) is None
