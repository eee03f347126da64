"""Submissions for images without classes, as those of a competition of one's own: which images, which ids, which labels."""

import csv
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from orchestrator import plugins
from orchestrator.contracts import ImageFiles, Predictor
from orchestrator.errors import BadData, InvalidInput, MissingInput
from orchestrator.storage.runs import study_around
from orchestrator.submission.predictions import ProgressCallback, Rows, damaged_files, predict_image_files
from orchestrator.submission.sample_submission import Sample, files_by_id, label_texts, read_sample
from orchestrator.submission.submission_file import SubmissionForm, ids_in
from orchestrator.support.activity import bar_or, doing
from orchestrator.support.atomic_files import disk_errors
from orchestrator.support.disk_lookups import is_folder, is_link, status
from orchestrator.support.names import is_text
from orchestrator.support.wording import damage_refusal, first_of, several, shown

_HEADER = ("id", "label")  # of the columns, where nobody says otherwise
_LONGEST_HEADER = 4096  # bytes


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesRequest:
    """Which images a submission is for, and how it is written, as the user says. None: as the sample says, or the default."""

    folder: Path | None = None  # None: the images without classes of the data set itself
    sample: Path | None = None
    id_column: str | None = None
    label_column: str | None = None
    labels: str | None = None  # names or numbers
    skip_damaged: bool = False

    @property
    def empty(self) -> bool:
        """Whether the user says nothing of images without classes."""
        return self == ImagesRequest()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesToPredict:
    """Images without classes, listed and matched with the sample submission, if there is one."""

    files: ImageFiles
    by_id: Mapping[str, str]  # id -> name of the file, in the order of the rows
    sample: Sample | None
    header: tuple[str, str]
    labels: str | None
    skip_damaged: bool
    own: bool  # whether they came with the data set

    def describe(self) -> str:
        """One phrase for messages."""
        if not self.files.names:  # a sample submission alone
            return f"the {several(len(self.by_id), 'id')} of {shown(self.files.folder)}"
        sample = f", as in {shown(self.sample.path)}" if self.sample is not None else ""
        return f"the {several(len(self.by_id), 'image')} without classes in {shown(self.files.folder)}{sample}"

    def paths(self, ids: Sequence[str]) -> list[tuple[str, str]]:
        """Each id with the path of its file in the folder of the data set."""
        return [(name, f"{self.files.folder.name}/{self.by_id[name]}") for name in ids]

    def form(self, names: Sequence[str], classes: int) -> tuple[SubmissionForm, str]:
        """How the rows are written, and a note ("" for none). Raises InvalidInput or BadData."""
        texts, note = label_texts(names, classes, self.sample, self.labels)
        return SubmissionForm(header=self.header, labels=texts), note

    def refuse_damaged(self, damaged: Mapping[str, str]) -> None:
        """Raise BadData for damaged files, unless they are to be left out; and where none is left."""
        if damaged and not self.skip_damaged:
            raise damage_refusal(self.files.folder, damaged)
        if len(damaged) == len(self.by_id):
            count = several(len(damaged), "damaged file")
            raise BadData(f"{shown(self.files.folder)} has no image that can be read, but {count}")

    def check(self) -> Mapping[str, str]:
        """Read all images, so that damage is known before a training. Returns what is left out. Raises BadData or DiskError."""
        with doing(f"reading the images in {shown(self.files.folder)}"):
            damaged = damaged_files(self.files, self.files.names)
        self.refuse_damaged(damaged)
        return damaged

    def expected_ids(self, submission: bytes) -> tuple[str, ...]:
        """The ids that a submission is to have: all, or where damaged files are left out, those of others. Raises DiskError."""
        ids = tuple(self.by_id)
        if not self.skip_damaged or not (missing := set(ids) - ids_in(submission)):
            return ids
        damaged = damaged_files(self.files, [self.by_id[name] for name in ids if name in missing])
        return tuple(name for name in ids if name not in missing or self.by_id[name] not in damaged)


def own_images(dataset: str, data_folder: Path) -> ImageFiles | None:
    """The images without classes that a data set came with. Raises as its `check` does."""
    unlabelled = plugins.dataset(dataset).names.unlabelled
    return unlabelled(data_folder) if unlabelled is not None else None


def find_images(dataset: str, data_folder: Path, request: ImagesRequest) -> ImagesToPredict | None:
    """The images that a user asks for, or else those that the data set came with; None where there are none and nothing is asked.

    Raises InvalidInput, MissingInput, or BadData where images and sample submission do not belong together.
    """
    files = image_files(dataset, request.folder) if request.folder is not None else own_images(dataset, data_folder)
    if files is None:
        if request.empty:
            return None
        raise InvalidInput(f"{dataset} has no images without classes: give a folder of them with --images DIR")
    path = request.sample or files.sample
    sample = read_sample(path) if path is not None else None
    return ImagesToPredict(
        files=files,
        by_id=files_by_id(files.names, files.folder, sample),
        sample=sample,
        header=_header(request, sample),
        labels=request.labels,
        skip_damaged=request.skip_damaged or files.skip_damaged,
        own=request.folder is None,
    )


def of_sample(request: ImagesRequest, sample: Path) -> ImagesToPredict:
    """What a sample submission alone says, to check a submission without the images. Raises MissingInput or BadData."""
    if request.skip_damaged:
        raise InvalidInput("--skip-damaged needs the images: give their folder with --images DIR")
    read = read_sample(sample)
    return ImagesToPredict(
        files=ImageFiles(folder=sample, names=(), read=lambda names: ()),  # noqa: ARG005 - there are none
        by_id=dict.fromkeys(read.ids, ""),
        sample=read,
        header=_header(request, read),
        labels=request.labels,
        skip_damaged=False,
        own=False,
    )


def image_files(dataset: str, folder: Path) -> ImageFiles:
    """The image files in a folder, to be read as a data set reads its own images.

    Raises InvalidInput for a data set that does not say how, MissingInput, BadData or DiskError.
    """
    read = plugins.dataset(dataset).names.image_files
    if read is None:
        raise InvalidInput(
            f"the data set {dataset!r} does not say how it reads image files: give its DataSetNames `image_files`, for instance "
            "`image_files(size=64)` of trainers.datasets._image_files"
        )
    return read(folder)


def predict(images: ImagesToPredict, predictor: Predictor, classes: int, progress: ProgressCallback) -> tuple[Rows, str]:
    """The rows for the images, and which of them were left out, in a phrase ("" for none). Raises BadData or DiskError."""
    with bar_or(f"predicting the images in {shown(images.files.folder)}"):
        found = predict_image_files(images.files, predictor, classes=classes, skip_damaged=images.skip_damaged, progress=progress)
    images.refuse_damaged(found.damaged)
    ids = [name for name, file in images.by_id.items() if file in found.classes]
    labels = np.array([found.classes[images.by_id[name]] for name in ids], dtype=np.int64)
    left_out = ""
    if found.damaged:
        left_out = f"; WITHOUT {several(len(found.damaged), 'damaged file')}: {first_of(sorted(found.damaged))}"
    return Rows(ids=ids, labels=labels), left_out


def check_output(output: Path, images: ImagesToPredict) -> None:
    """Refuse a file that is not the user's to replace. Raises InvalidInput, MissingInput for a missing folder, or DiskError."""
    place = output.absolute().parent
    if not is_folder(place):
        raise MissingInput(f"there is no folder {shown(place)} for {shown(output.name)}")
    if (study := study_around(output)) is not None:
        raise InvalidInput(f"{shown(output)} lies in {shown(study)}, whose files are those of its runs: give another --output")
    found = status(output)
    if is_link(output) or (found is not None and not stat.S_ISREG(found.st_mode)):
        raise InvalidInput(f"{shown(output)} is no file that can be replaced: give another --output")
    if found is not None:
        inputs = [images.files.folder / name for name in images.files.names]
        inputs += [images.sample.path] if images.sample is not None else []
        for path in inputs:
            if path.name == output.name and (other := status(path)) is not None and _same(other, found):
                raise InvalidInput(f"{shown(output)} is read for this submission: give another --output")
        if _is_called_a_sample(output) or len(_header_of(output)) != len(images.header):
            raise InvalidInput(f"{shown(output)} is no submission, so it is not replaced: remove it, or give another --output")


def _is_called_a_sample(file: Path) -> bool:
    """Whether a file is called as competitions call their sample, whose header may be that of a submission."""
    return file.name.lower().replace("_", "") == "samplesubmission.csv"


def _header_of(file: Path) -> tuple[str, ...]:
    """The cells of a file's first line, whatever it is. Raises DiskError."""
    with disk_errors(f"read {shown(file)}"), file.open("rb") as stream:
        line = stream.read(_LONGEST_HEADER).split(b"\n")[0]
    return tuple(next(csv.reader([line.decode("utf-8", "replace").rstrip("\r")]), []))


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _header(request: ImagesRequest, sample: Sample | None) -> tuple[str, str]:
    """The names of the two columns. Raises InvalidInput."""
    first, second = sample.header if sample is not None else _HEADER
    if request.id_column is None and request.label_column is None:
        return first, second
    first = request.id_column if request.id_column is not None else first
    second = request.label_column if request.label_column is not None else second
    if first == second or not all(name and is_text(name) for name in (first, second)):
        raise InvalidInput(f"{shown(first)!r} and {shown(second)!r} cannot be the names of two columns")
    return first, second
