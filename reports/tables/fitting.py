"""A report's table for a terminal: only what says something, and never wider than a line."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import pandas as pd

from orchestrator.support.wording import several
from reports.tables.formats import Column, aligned, broken, column_of, key_column, line_width, rounded

# Of the leaderboard's columns, those that stay the longest, after the run and the metric that it is ranked by, and those that
# give way first, the very first of them last. All others, hyperparameters and a user's own, are between, in their order.
_LONGEST = ("rank", "state", "test_acc")
_FIRST = (
    *("epochs", "kind", "best_epoch", "standard_error", "seconds", "reference", "replicate_of", "dataset", "study", "failure"),
    "failure_message",
)
_BEST, _BEST_EPOCH = "best_", "best_epoch"
_SHORTEST = 12  # characters of a run's name that are shown in any case
_ESSENTIAL = 3  # columns beside the run that its name makes room for, by being shortened


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A table as text, and how many columns it lacks."""

    text: str
    empty: int  # columns without a value in any row
    narrow: int  # columns for which there was no room

    def note(self) -> str:
        """What to tell about columns that are left out; "" where none is."""
        if not self.empty + self.narrow:
            return ""
        empty = f", {self.empty} of them empty" if self.empty else ""
        which = several(self.empty + self.narrow, "column") + empty if self.narrow else several(self.empty, "empty column")
        return f"left out: {which}; --format csv has all"


def fitted(frame: pd.DataFrame, width: int | None) -> Fitted:
    """The table without columns that are empty in all rows, and on a terminal of `width` characters without what does not fit.

    The least important columns give way first. Headers are broken at `_` where that makes room, and the names of runs are
    shortened in the middle where not even the columns beside them fit. No line is longer than `width`, None for no limit.
    """
    columns = [rounded(column_of(str(name), frame[name])) for name in frame.columns]
    filled = [each for each in columns if any(map(str.strip, each.cells))] if len(frame) else columns
    shown = filled or columns
    empty = len(columns) - len(shown)
    names = [each.name for each in shown]
    if width is None or not shown or line_width(shown, names) <= width:
        return Fitted(text=aligned(shown, [[name] for name in names]), empty=empty, narrow=0)
    kept = _kept(shown, width)
    headers = [[_cut(line, width) for line in broken(each.name)] for each in kept]
    return Fitted(text=aligned(kept, headers), empty=empty, narrow=len(shown) - len(kept))


def _kept(columns: Sequence[Column], width: int) -> list[Column]:
    """The most important columns that fit beside each other, in the order given."""
    key, *others = _by_importance(columns)
    beside = [each for each in others[:_ESSENTIAL] if each.name in _LONGEST or _is_best(each.name)]
    room = width - _width([*beside, Column(name="", numeric=False, cells=[])]) if beside else width
    most = min(width, max(room, _SHORTEST))
    kept = [replace(key, cells=[_cut(cell, most) for cell in key.cells])]
    for each in others:
        if _width([*kept, each]) <= width:
            kept.append(each)
    order = [each.name for each in columns]
    return sorted(kept, key=lambda each: order.index(each.name))


def _by_importance(columns: Sequence[Column]) -> list[Column]:
    key = next((each for each in columns if each.name == "run"), None) or key_column(columns)
    names = [each.name for each in columns]
    best = [name for name in names if _is_best(name)]
    first = [key.name, *best[:1], *_LONGEST, *best[1:]]
    last = [name for name in _FIRST if name not in first]
    between = [name for name in names if name not in {*first, *last}]
    by_name = {each.name: each for each in columns}
    return [by_name[name] for name in [*first, *between, *last] if name in by_name]


def _is_best(name: str) -> bool:
    return name.startswith(_BEST) and name != _BEST_EPOCH


def _width(columns: Sequence[Column]) -> int:
    return line_width(columns, [max(broken(each.name), key=len) for each in columns])


def _cut(text: str, most: int) -> str:
    """The beginning and the end of a long text, with more of the end: a run's number stands there."""
    from rich.cells import cell_len

    kept = len(text)
    cut = text
    while cell_len(cut) > most and kept:
        kept -= 1
        tail = kept * 2 // 3
        cut = f"{text[: kept - tail]}…{text[len(text) - tail :]}"
    return cut
