"""The submission file `id,label`: predicted classes of out-of-distribution images, or of a data set's test images."""

import contextlib
import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from orchestrator.errors import BadData, MissingInput
from orchestrator.submission.predictions import Rows
from orchestrator.support.atomic_files import disk_errors
from orchestrator.support.disk_lookups import content
from orchestrator.support.file_groups import replace_together

_COLUMNS = ["id", "label"]


def write_submission(path: Path, rows: Rows, *, classes: int, names: Mapping[Path, bytes] = MappingProxyType({})) -> None:
    """Write the rows aside, check them, then rename the file to `path`, together with the tables of `names` beside it.

    Raises BadData for a label that is not a class, and DiskError; earlier files are then kept.
    """
    content = csv_table(_COLUMNS, zip(rows.ids, rows.labels.tolist(), strict=True)).encode()
    with disk_errors(f"write {path}"):
        replace_together(path, content, names, check=lambda aside: check_submission(aside, rows.ids, classes=classes))


def name_table(number: str, name: str, names: Sequence[str]) -> bytes:
    """A CSV file with the columns `number` and `name`, one row for each of `names` from number 0."""
    return csv_table([number, name], enumerate(names)).encode("utf-8", "backslashreplace")


def csv_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV text that every reader takes apart into these cells; a cell is quoted where it must be."""
    stream = io.StringIO()
    sparing = csv.writer(stream, lineterminator="\n")
    whole = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in itertools.chain([header], rows):
        # The csv module of Python 3.11 leaves a carriage return unquoted.
        (whole if any("\r" in str(cell) for cell in row) else sparing).writerow(row)
    return stream.getvalue()


def names_in_table(table: bytes) -> tuple[str, ...]:
    """The names in what `name_table` wrote; () for anything else."""
    with contextlib.suppress(csv.Error, UnicodeDecodeError):
        rows = list(csv.reader(io.StringIO(table.decode(), newline=""), strict=True))[1:]
        if [row[0] for row in rows if len(row) == 2] == [str(number) for number in range(len(rows))]:
            return tuple(name for _, name in rows)
    return ()


def check_submission(path: Path, ids: Sequence[str], *, classes: int) -> None:
    """Check that the file at `path` holds exactly these ids, in their order, with labels 0 … classes-1.

    Raises MissingInput, BadData naming the first wrong line, or DiskError.
    """
    check_content(submission_content(path), path, ids, classes=classes)


def submission_content(path: Path) -> bytes:
    """What the file holds. It may be a pipe, which can be read once only. Raises MissingInput or DiskError."""
    found = content(path)
    if found is None:
        raise MissingInput(f"there is no submission {path}")
    return found


def check_content(submission: bytes, path: Path, ids: Sequence[str], *, classes: int) -> None:
    """Check that this content of `path` is as `check_submission` says. Raises BadData naming the first wrong line."""
    labels = {str(label) for label in range(classes)}
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(submission), encoding="utf-8", newline=""), strict=True)
    try:
        problem = _first_problem(lines, ids, labels)
    except (csv.Error, UnicodeDecodeError) as error:
        problem = str(error)
    if problem:
        raise BadData(f"{path}, line {max(lines.line_num, 1)}: {problem}")


def _first_problem(lines: Iterator[list[str]], ids: Sequence[str], labels: set[str]) -> str:
    header = next(lines, [])
    if header != _COLUMNS:
        return f"expected the header {','.join(_COLUMNS)}, found {_shown(header)}"
    for row, name in itertools.zip_longest(lines, ids):
        if row is None:
            return f"the file ends before the row of {name}; expected {len(ids):,} rows"
        if name is None:
            return f"found {_shown(row)} after the last of {len(ids):,} expected rows"
        if len(row) != len(_COLUMNS) or row[0] != name:
            return f"expected the row of {name}, found {_shown(row)}"
        if row[1] not in labels:
            return f"the label of {name} is {_shown(row[1:])}, expected a whole number from 0 to {len(labels) - 1}"
    return ""


def _shown(cells: Sequence[str]) -> str:
    text = ",".join(cells)
    return repr(text if len(text) <= 60 else text[:60] + "…")
