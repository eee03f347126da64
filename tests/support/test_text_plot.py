"""A curve as text: where its points are, and that it fits, whatever the values."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.support.text_plot import plot


def label(value: float) -> str:
    return f"{value:.2f}"


def test_the_highest_value_is_above_and_the_first_one_on_the_left() -> None:
    assert plot((0.1, 0.5, 0.3), label, marked=2, height=5) == [
        "0.50 |      #",
        "     |",
        "     |            *",
        "     |",
        "0.10 |*",
        "     +-------------",
        "      1           3",
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), []),
        ((math.nan, math.inf), []),
        ((0.5,), ["0.50 |#", "     +-", "      1"]),
        ((0.5, 0.5), ["0.50 |#     *", "     +-------", "      1     2"]),
        ((math.nan, 0.5, -math.inf), ["0.50 |      *", "     +x-----------x", "      1           3"]),
    ],
)
def test_what_there_is_little_to_plot_of(values: Sequence[float], expected: list[str]) -> None:
    assert plot(values, label, marked=1) == expected


def test_many_values_share_columns_and_the_marked_one_is_seen() -> None:
    lines = plot([epoch / 1000 for epoch in range(1000)], label, marked=500)
    assert max(map(len, lines)) == 60
    assert sum(line.count("#") for line in lines) == 1
    assert lines[0].endswith("*")
    assert lines[-1].split() == ["1", "1000"]
    assert [line.count("*") > 0 for line in lines[:-2]] == [True] * 10


@given(
    values=st.lists(st.floats(), max_size=300),
    marked=st.one_of(st.none(), st.integers(-3, 400)),
    width=st.integers(20, 80),
    height=st.integers(2, 12),
)
def test_it_fits_and_is_plain_whatever_the_values(values: list[float], marked: int | None, width: int, height: int) -> None:
    lines = plot(values, lambda value: f"{value:.4g}", marked=marked, width=width, height=height)
    assert all(len(line) <= width for line in lines)
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert bool(lines) == any(map(math.isfinite, values))
    assert len(lines) in (0, 3, height + 2)
