"""The border of reports: what a user's own one gives, as a table that can be written in every format without losing anything."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pandas as pd

from orchestrator.errors import BadData
from orchestrator.support.serialization import shortened


def checked(made: object, name: str) -> pd.DataFrame:
    """What the report `name` gave, with texts as names of its columns, all different, and rows numbered from 0.

    An index that says more than the number of a row becomes the first columns; one that repeats a column is dropped.
    Raises BadData.
    """
    if not isinstance(made, pd.DataFrame):
        hint = "; did it forget `return`?" if made is None else "; to_frame() makes one" if isinstance(made, pd.Series) else ""
        kind = "None" if made is None else f"a {type(made).__name__}"
        raise _refusal(name, f"it gives {kind} where a DataFrame is expected{hint}")
    table = made.copy(deep=False)
    table.columns = pd.Index([_text(column) for column in made.columns], dtype=object)
    rows = [(label, values) for label, values in _index_columns(made.index) if not _is_column(table, label, values)]
    counts = Counter([*(label for label, _ in rows), *table.columns])
    for label, count in counts.items():
        if count > 1:
            raise _refusal(name, f"{count} of its columns are named {shortened(label)!r}")
    if not counts and len(made):
        raise _refusal(name, "it has rows and no columns")
    table = table.reset_index(drop=True)
    for position, (label, values) in enumerate(rows):
        table.insert(position, label, values)
    return table


def _refusal(name: str, why: str) -> BadData:
    return BadData(f"report {name!r} cannot be used: {why}")


def _index_columns(index: "pd.Index[Any]") -> Iterator[tuple[str, "pd.Series[Any]"]]:
    """The levels of an index with their names; none of the rows' numbers, 0 to N-1, that a table has by itself."""
    if index.nlevels == 1 and index.name is None and index.equals(pd.RangeIndex(len(index))):
        return
    for number, level in enumerate(index.names):
        label = _text(level) if level is not None else "index" if index.nlevels == 1 else f"index {number}"
        yield label, index.get_level_values(number).to_series(index=pd.RangeIndex(len(index)))


def _is_column(table: pd.DataFrame, label: str, values: "pd.Series[Any]") -> bool:
    """Whether a column of that name says the same."""
    return list(table.columns).count(label) == 1 and table[label].tolist() == values.tolist()


def _text(name: object) -> str:
    """A column's name in one line; of several levels, as groupby gives them, all that are not empty."""
    parts = [str(part) for part in name] if isinstance(name, tuple) else [str(name)]
    text = " ".join(part for part in parts if part)
    return "".join(character if character.isprintable() else " " for character in text)
