"""A curve as lines of text: ASCII characters, so that every terminal, file and mail shows it."""

import math
from collections.abc import Callable, Sequence

POINT, MARKED, NOT_FINITE = "*", "#", "x"
_WIDEST_STEP = 6  # characters from one point to the next, where there are few


def plot(
    values: Sequence[float], label: Callable[[float], str], *, marked: int | None = None, width: int = 60, height: int = 10
) -> list[str]:
    """The values from left to right, at most `width` characters to a line; no line where none is finite.

    The first value is numbered 1. `label` writes the highest and the lowest one, on the left. The one numbered `marked` is shown
    as such, and one that is not finite as an x on the axis. Where there are more values than columns, neighbours share one.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return []
    highest, lowest = max(finite), min(finite)
    names = [label(highest), *([label(lowest)] if highest > lowest else [])]
    margin = max(map(len, names))
    columns = min(max(width - margin - 2, 1), _WIDEST_STEP * (len(values) - 1) + 1)
    rows = height if highest > lowest else 1
    grid = [[" "] * columns for _ in range(rows)]
    axis = ["-"] * columns
    for index in sorted(range(len(values)), key=lambda index: index + 1 == marked):  # the marked one last, over its neighbours
        column = round(index * (columns - 1) / max(len(values) - 1, 1))
        if math.isfinite(values[index]):
            row = round(_depth(values[index], lowest, highest) * (rows - 1))
            grid[row][column] = MARKED if index + 1 == marked else POINT
        else:
            axis[column] = NOT_FINITE
    names = [names[0], *[""] * (rows - 2), *names[1:]]
    lines = [f"{name:>{margin}} |{''.join(line)}".rstrip() for name, line in zip(names, grid, strict=True)]
    last = str(len(values)) if len(values) > 1 else ""
    return [*lines, f"{'':{margin}} +{''.join(axis)}", f"{'':{margin}}  1{last:>{columns - 1}}".rstrip()]


def _depth(value: float, lowest: float, highest: float) -> float:
    """How far down between the highest, 0, and the lowest, 1. Halves, because a difference of floats may be no float."""
    span = highest / 2 - lowest / 2
    return (highest / 2 - value / 2) / span if span > 0 else 0.0
