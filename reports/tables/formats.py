"""A report's table as text: for people (table, md) with figures rounded, for programs (csv, json) with every digit."""

import csv
import enum
import html
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any, final

import numpy as np
import pandas as pd

from orchestrator.errors import UnknownName
from orchestrator.support.serialization import canonical, to_plain

FORMATS = ("table", "csv", "json", "md")

_GAP = "  "  # between the columns of a table
_FORMULA = ("=", "+", "-", "@", "\t")  # how a text begins that a spreadsheet takes for a formula


def render(frame: pd.DataFrame, form: str, *, width: int | None = None) -> str:
    """The frame as text that ends in a line end; `form` is one of "table", "csv", "json", "md".

    table: aligned columns. `width` is the number of characters to a line, None for no limit. Columns that do not fit follow in
        a further table below; no figure is ever cut.
    md: a Markdown table. Both leave missing values empty and round: accuracies and losses to 4 decimals, seconds to 1,
        others to 3 significant digits.
    csv: floats exact, missing values empty. A text that a spreadsheet would take for a formula gets a ' in front.
    json: an array with an object per row. Floats exact, missing values null, infinite ones the texts "inf" and "-inf".
    Raises UnknownName for another form.
    """
    columns = [_column(str(name), frame[name]) for name in frame.columns]
    if form == "table":
        return _table([_rounded(column) for column in columns], width)
    if form == "md":
        return _markdown([_rounded(column) for column in columns])
    if form == "csv":
        return _csv(columns)
    if form == "json":
        return _json(columns)
    raise UnknownName("format", form, FORMATS)


def render_rows(rows: Sequence[Mapping[str, Any]], form: str, *, width: int | None = None) -> str:
    """Rows with the same columns as text, as `render` says."""
    return render(pd.DataFrame(rows), form, width=width)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    numeric: bool
    cells: list[Any]  # plain Python values, None where one is missing


def _column(name: str, series: "pd.Series[Any]") -> _Column:
    numeric = pd.api.types.is_numeric_dtype(series)
    return _Column(name=name, numeric=numeric, cells=[_plain(value) for value in series.tolist()])


def _plain(value: Any) -> Any:
    """A number, a truth value, a text, or None: whatever else a cell holds as a text."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return None
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping | list | tuple | set | frozenset | np.ndarray):
        return canonical(_nested(value))
    return str(value)


def _nested(value: Any) -> Any:
    """The same of what has parts, as plain data."""
    if isinstance(value, np.ndarray):
        return _nested(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _nested(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_nested(item) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [_nested(item) for item in value]
    return _plain(value)


def _csv(columns: Sequence[_Column]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_harmless(column.name) for column in columns])
    writer.writerows([_harmless(cell) for cell in row] for row in _rows(columns))
    return stream.getvalue()


def _harmless(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    text = "\n".join(cell.splitlines())  # the csv module of Python 3.11 leaves a carriage return unquoted
    return "'" + text if text.startswith(_FORMULA) else text


def _json(columns: Sequence[_Column]) -> str:
    names = [column.name for column in columns]
    records = [to_plain(dict(zip(names, row, strict=True))) for row in _rows(columns)]
    return json.dumps(records, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _markdown(columns: Sequence[_Column]) -> str:
    lines = [
        [_markdown_text(column.name) for column in columns],
        ["---:" if column.numeric else "---" for column in columns],
        *([_markdown_text(cell) for cell in row] for row in _rows(columns)),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _markdown_text(text: str) -> str:
    """The text as a cell that shows it: Markdown would take some characters for the end of a cell, and others for HTML."""
    return re.sub(r"([\\|])", r"\\\1", html.escape(text, quote=False))


def _table(columns: Sequence[_Column], width: int | None) -> str:
    if width is None or _line_width(columns, [column.name for column in columns]) <= width:
        return _aligned(columns, [[column.name] for column in columns])
    headers = {column.name: column.name.replace("_", "_\n").split("\n") for column in columns}
    key = _key(columns)
    blocks: list[list[_Column]] = [[]]
    for column in columns:
        wider = [*blocks[-1], column]
        fits = _line_width(wider, [max(headers[each.name], key=len) for each in wider]) <= width
        if fits or blocks[-1] in ([], [key]):
            blocks[-1] = wider
        else:
            blocks.append([key, column])
    return "\n".join(_aligned(block, [headers[column.name] for column in block]) for block in blocks)


def _key(columns: Sequence[_Column]) -> _Column:
    """The column that says which row this is, to stand again in front of a further table."""
    return next((each for each in columns if not each.numeric and len(set(each.cells)) == len(each.cells)), columns[0])


def _line_width(columns: Sequence[_Column], headers: Sequence[str]) -> int:
    from rich.cells import cell_len

    widths = [max(map(cell_len, [header, *column.cells])) for column, header in zip(columns, headers, strict=True)]
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _aligned(columns: Sequence[_Column], headers: Sequence[Sequence[str]]) -> str:
    """Headers may have several lines, and stand on the same last one."""
    from rich.cells import cell_len

    height = max(map(len, headers), default=0)
    padded = []
    for column, header in zip(columns, headers, strict=True):
        cells = [*[""] * (height - len(header)), *header, *column.cells]
        width = max(map(cell_len, cells))
        blanks = [" " * (width - cell_len(cell)) for cell in cells]
        padded.append([blank + cell if column.numeric else cell + blank for blank, cell in zip(blanks, cells, strict=True)])
    return "".join(_GAP.join(line).rstrip() + "\n" for line in zip(*padded, strict=True))


def _rows(columns: Sequence[_Column]) -> "zip[tuple[Any, ...]]":
    return zip(*(column.cells for column in columns), strict=True)


def _rounded(column: _Column) -> _Column:
    cells = [_rounded_cell(column.name, cell) for cell in column.cells]
    return _Column(name=_printable(column.name), numeric=column.numeric, cells=cells)


def _printable(text: str) -> str:
    """On one line, without what a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)


def _rounded_cell(name: str, cell: Any) -> str:
    if cell is None:
        return ""
    if not isinstance(cell, float):
        return _printable(str(cell))
    if name.endswith(("acc", "loss")):
        return f"{cell:.4f}"
    if name == "seconds":
        return f"{cell:.1f}"
    return f"{cell:.0f}" if 1_000 <= abs(cell) < 1_000_000 else f"{cell:.3g}"
