"""The submission file: ids of images, and their predicted classes, as numbers or by name."""

import contextlib
import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import final

from orchestrator.errors import BadData, MissingInput
from orchestrator.submission.predictions import Rows
from orchestrator.support.atomic_files import disk_errors
from orchestrator.support.disk_lookups import content
from orchestrator.support.file_groups import replace_together

_MOST_SHOWN = 5  # classes in a message


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionForm:
    """How a submission is written: the names of its columns, and what stands for each class, in the order of the classes."""

    header: tuple[str, str] = ("id", "label")
    labels: tuple[str, ...]

    def label(self, number: object) -> str:
        """What stands for a class. What is no class stays as it is, for the check to name it."""
        if isinstance(number, int) and 0 <= number < len(self.labels):
            return self.labels[number]
        return str(number)

    def describe(self) -> str:
        """What a label is, in one phrase."""
        if self.labels == _numbers(len(self.labels)):
            return f"a whole number from 0 to {len(self.labels) - 1}"
        more = ", …" if len(self.labels) > _MOST_SHOWN else ""
        return f"one of {len(self.labels)} classes: {', '.join(self.labels[:_MOST_SHOWN])}{more}"


def numbered(classes: int) -> SubmissionForm:
    """The form in which classes are numbers from 0."""
    return SubmissionForm(labels=_numbers(classes))


def write_submission(path: Path, rows: Rows, *, form: SubmissionForm, names: Mapping[Path, bytes] = MappingProxyType({})) -> None:
    """Write the rows aside, check them, then rename the file to `path`, together with the tables of `names` beside it.

    Raises BadData for a label that is not a class, and DiskError; earlier files are then kept.
    """
    labels = map(form.label, rows.labels.tolist())
    content = csv_table(form.header, zip(rows.ids, labels, strict=True)).encode()
    with disk_errors(f"write {path}"):
        replace_together(path, content, names, check=lambda aside: check_submission(aside, rows.ids, form=form))


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


def check_submission(path: Path, ids: Sequence[str], *, form: SubmissionForm) -> None:
    """Check that the file at `path` holds exactly these ids, in their order, each with a class, in this form.

    Raises MissingInput, BadData naming the first wrong line, or DiskError.
    """
    check_content(submission_content(path), path, ids, form=form)


def submission_content(path: Path) -> bytes:
    """What the file holds. It may be a pipe, which can be read once only. Raises MissingInput or DiskError."""
    found = content(path)
    if found is None:
        raise MissingInput(f"there is no submission {path}")
    return found


def check_content(submission: bytes, path: Path, ids: Sequence[str], *, form: SubmissionForm) -> None:
    """Check that this content of `path` is as `check_submission` says. Raises BadData naming the first wrong line."""
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(submission), encoding="utf-8", newline=""), strict=True)
    try:
        problem = _first_problem(lines, ids, form)
    except (csv.Error, UnicodeDecodeError) as error:
        problem = str(error)
    if problem:
        raise BadData(f"{path}, line {max(lines.line_num, 1)}: {problem}")


def ids_in(submission: bytes) -> set[str]:
    """The ids of whatever rows a submission has; those before the first that is no CSV."""
    found: set[str] = set()
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(submission), encoding="utf-8", newline=""), strict=True)
    with contextlib.suppress(csv.Error, UnicodeDecodeError):
        found.update(row[0] for row in lines if row)
    return found


def _numbers(classes: int) -> tuple[str, ...]:
    return tuple(map(str, range(classes)))


def _first_problem(lines: Iterator[list[str]], ids: Sequence[str], form: SubmissionForm) -> str:
    labels = set(form.labels)
    header = next(lines, [])
    if header != list(form.header):
        return f"expected the header {_row(form.header)}, found {_shown(header)}"
    for row, name in itertools.zip_longest(lines, ids):
        if row is None:
            return f"the file ends before the row of {name}; expected {len(ids):,} rows"
        if name is None:
            return f"found {_shown(row)} after the last of {len(ids):,} expected rows"
        if len(row) != len(form.header) or row[0] != name:
            return f"expected the row of {name}, found {_shown(row)}"
        if row[1] not in labels:
            return f"the label of {name} is {_shown(row[1:])}, expected {form.describe()}"
    return ""


def _row(cells: Sequence[str]) -> str:
    return csv_table(cells, ()).rstrip("\n")


def _shown(cells: Sequence[str]) -> str:
    text = ",".join(cells)
    return repr(text if len(text) <= 60 else text[:60] + "…")
