"""What a competition says of its submissions: a sample submission, or the names of the images' files where there is none."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import final

from orchestrator.errors import BadData, InvalidInput, MissingInput
from orchestrator.submission.submission_file import numbered
from orchestrator.support.disk_lookups import content
from orchestrator.support.names import composed, is_text
from orchestrator.support.wording import first_of, several, shown


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sample submission: its header, and the ids and labels of its rows. Its labels only show how labels are written."""

    path: Path
    header: tuple[str, str]
    ids: tuple[str, ...]
    labels: tuple[str, ...]


def read_sample(path: Path) -> Sample:
    """The sample submission in a file. Raises MissingInput, BadData naming the first wrong line, or DiskError."""
    found = content(path)
    if found is None:
        raise MissingInput(f"there is no sample submission {shown(path)}")
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(found), encoding="utf-8-sig", newline=""), strict=True)
    rows: list[tuple[str, str]] = []
    try:
        for row in lines:
            if len(row) == 2:
                rows.append((row[0], row[1]))
            elif row:
                raise BadData(f"expected two columns, an id and a label, found {len(row)}")
    except (BadData, csv.Error, UnicodeDecodeError) as error:
        raise BadData(f"{shown(path)}, line {max(lines.line_num, 1)}: {error}") from error
    if len(rows) < 2:
        raise BadData(f"{shown(path)} has no rows: a sample submission has a header, and a row for each image")
    header, *rows = rows
    ids = tuple(name for name, _ in rows)
    for one, other in _twins((composed(name), name) for name in ids):
        raise BadData(f"{shown(path)} has the id {one!a} twice{'' if one == other else f', also as {other!a}'}")
    return Sample(path=path, header=header, ids=ids, labels=tuple(label for _, label in rows))


def files_by_id(names: Sequence[str], folder: Path, sample: Sample | None) -> dict[str, str]:
    """The id of each image file, and its name, in the order of the rows: of the sample submission, or else of the names.

    An id is the name of the file, without its ending where the sample leaves it out. Names are compared as they look, whichever
    system wrote them, and without a sample ids are written with each accent in one character with its letter.
    Raises BadData for names that cannot be ids, and where images and sample do not belong together.
    """
    if odd := [name for name in names if not is_text(name)]:
        raise BadData(f"{shown(folder)}: the ids of a submission are UTF-8; rename {several(len(odd), 'file')}: {first_of(odd)}")
    with_ending = [(composed(name), name) for name in names]
    if sample is None:
        return _distinct(with_ending, folder)
    wanted = {composed(name): name for name in sample.ids}
    forms = (with_ending, [(composed(PurePosixPath(name).stem), name) for name in names])
    found = _distinct(max(forms, key=lambda form: sum(key in wanted for key, _ in form)), folder)
    _check_same(sample, folder, found, wanted)
    return {name: found[key] for key, name in wanted.items()}


def label_texts(names: Sequence[str], classes: int, sample: Sample | None, choice: str | None) -> tuple[tuple[str, ...], str]:
    """What stands for each class in a submission, and a note for the user ("" for none).

    `choice` is "names", "numbers", or None: as the sample shows, or else names. Classes without names are numbers.
    Raises InvalidInput or BadData.
    """
    numbers = numbered(classes).labels
    if choice == "names" and not names:
        raise InvalidInput("the classes of this model have no names: leave --labels names out")
    if choice == "numbers" or not names:
        return numbers, _numbers_mean(names)
    if odd := [name for name in names if not is_text(name)]:
        raise BadData(f"labels are UTF-8, and this name of a class is not: {shown(odd[0])}")
    seen = {composed(label) for label in sample.labels if label} if sample is not None else set()
    if sample is None or choice == "names" or not seen or seen <= {composed(name) for name in names}:
        return tuple(names), ""
    if seen <= set(numbers):
        return numbers, _numbers_mean(names)
    strange = first_of(sorted(seen - {composed(name) for name in names}))
    note = f"the labels of {shown(sample.path)} are no classes of this model: {strange}. Class names are written"
    return tuple(names), f"{note}; for numbers give --labels numbers"


def _numbers_mean(names: Sequence[str]) -> str:
    """Which class has which number, where classes have names."""
    meaning = [f"{number} is {shown(name)}" for number, name in enumerate(names)]
    return f"labels are the numbers of the classes: {first_of(meaning)}" if names else ""


def _distinct(named: Sequence[tuple[str, str]], folder: Path) -> dict[str, str]:
    """File names by their ids. Raises BadData where two have the same."""
    for one, other in _twins(named):
        raise BadData(f"{shown(folder)}: {one!a} and {other!a} would have the same id; rename one")
    return dict(named)


def _twins(named: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Names with the same key, in pairs."""
    found: dict[str, str] = {}
    for key, name in named:
        if key in found:
            yield found[key], name
        found[key] = name


def _check_same(sample: Sample, folder: Path, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """That each id has its image, and each image its id. Raises BadData."""
    without_image = [name for key, name in wanted.items() if key not in found]
    without_id = [name for key, name in found.items() if key not in wanted]
    if composed(sample.header[0]) in found and len(without_id) == 1 and not without_image:
        raise BadData(f"{shown(sample.path)} has no header: its first line is the row of an image")
    problems = []
    if without_image:
        problems.append(f"{several(len(without_image), 'id')} without an image: {first_of(without_image)}")
    if without_id:
        problems.append(f"{several(len(without_id), 'image')} without an id: {first_of(without_id)}")
    if problems:
        raise BadData(f"{shown(sample.path)} is not of the images in {shown(folder)}. {'. '.join(problems)}")
