"""From a run's checkpoint to its submission.csv, checked."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from orchestrator import plugins
from orchestrator.contracts import DataSetInfo
from orchestrator.data_identity import DataIdentity, Part, class_names, read_data
from orchestrator.errors import BadData, InvalidInput, MissingInput
from orchestrator.record import RunRecord
from orchestrator.storage.commands import command
from orchestrator.storage.run_folder import RunFolder
from orchestrator.storage.study_file import StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.submission.out_of_distribution import CHALLENGE, CheckedFiles, OutOfDistribution, check_files
from orchestrator.submission.predictions import image_ids, predict_files, predict_test_images
from orchestrator.submission.predictor import known_data, load_model
from orchestrator.submission.submission_file import check_content, name_table, submission_content, write_submission
from orchestrator.support.activity import bar_or, doing, on_terminal
from orchestrator.support.disk_lookups import content, is_link, is_there
from orchestrator.support.names import NAME

# The data sets whose challenge is scored on other images than their own test set.
OUT_OF_DISTRIBUTION = {"cifar100": CHALLENGE}

_SECONDS_BETWEEN_LINES = 10.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a submission is made for: checked out-of-distribution files, or, where there are none, the test images."""

    dataset: str
    files: CheckedFiles | None

    def describe(self) -> str:
        """One phrase for messages."""
        if self.files is None:
            return f"the test images of {self.dataset}"
        images = len(self.files.present) * self.files.geometry.shape[0]
        missing = f"; WITHOUT {', '.join(self.files.missing)}" if self.files.missing else ""
        return f"{images:,} out-of-distribution images of {self.files.folder}{missing}"


def target(dataset: str, ood_folder: Path | None, data_folder: Path, *, partial: bool) -> Target:
    """What to predict for a model of this data set, checked before anything is trained or predicted.

    Without `ood_folder` the files are looked for in DATA/ood-test, and their absence means the test images.
    Raises MissingInput and BadData as `check_files` does.
    """
    geometry = OUT_OF_DISTRIBUTION.get(dataset)
    folder = ood_folder or data_folder / "ood-test"
    if geometry is None and (ood_folder is not None or partial):
        raise InvalidInput(f"{dataset} has no out-of-distribution files: leave out --ood-dir and --partial")
    if geometry is None or (ood_folder is None and not partial and not _any_there(folder, geometry)):
        plugins.dataset(dataset).check(data_folder)
        return Target(dataset=dataset, files=None)
    return Target(dataset=dataset, files=check_files(folder, geometry, partial=partial, verify=True))


def most_predictions(dataset: str, info: DataSetInfo, data_folder: Path) -> int:
    """Images that a submission may have to predict, at the most, as far as can be said without reading any."""
    geometry = OUT_OF_DISTRIBUTION.get(dataset)
    if geometry is not None and _any_there(data_folder / "ood-test", geometry):
        return len(geometry.ids())
    return info.train_images  # few data sets have more test than training images


def submit(
    folder: RunFolder, record: RunRecord, what: Target, data_folder: Path, device: str, say: Callable[[str], None]
) -> Path:
    """Predict, and write the run's submission.csv: written aside, checked, then renamed. Returns its path.

    Beside predictions for test images stand classes.csv and images.csv, where classes and images have names; the three are
    replaced together. Raises BadData, before anything is written, where the data set is not what the model was trained on.
    """
    with doing(f"loading the weights of {record.run_id}"):
        model = load_model(folder, record, device)
    dataset = record.recipe.dataset
    progress = _Progress(say)
    names: Mapping[Path, bytes] = {}
    if what.files is not None:
        classes = plugins.dataset(dataset).info(data_folder).classes
        check_same_data(record.run_id, model.data, DataIdentity(dataset=dataset, classes=_names_if_there(dataset, data_folder)))
        with bar_or("predicting"):
            rows = predict_files(what.files, model.predict, classes=classes, progress=progress)
    else:
        found = read_data(dataset, data_folder, "train", "test")
        check_same_data(record.run_id, model.data, found.identity)
        classes = found.info.classes
        with bar_or("predicting"):
            rows = predict_test_images(found.parts["test"].images, model.predict, classes=classes, progress=progress)
        names = _name_tables(folder, model.data.classes or found.identity.classes, found.test_names)
    write_submission(folder.submission, rows, classes=classes, names=names)
    say(f"submission: {folder.submission}, {len(rows.ids):,} rows for {what.describe()}")
    return folder.submission


def check_same_data(run_id: str, trained_on: DataIdentity, now: DataIdentity) -> None:
    """Raise BadData where a data set is not what a model was trained on: its labels, or its images, have another meaning."""
    if what := trained_on.difference(now):
        raise BadData(
            f"{now.dataset} is not what {run_id} was trained on: {what}. "
            "Restore it, or train again with --study NAME. Nothing was written"
        )


def check(file: Path, dataset: str, data_folder: Path) -> str:
    """Check that a file is a complete submission for this data set. Returns as what. Raises BadData, MissingInput.

    Where it lies in the folder of a run, the data set must also be what that run was trained on, and the tables of names beside
    the run's submission must be its own.
    """
    source = plugins.dataset(dataset)
    geometry = OUT_OF_DISTRIBUTION.get(dataset)
    submission = submission_content(file)
    run = RunFolder(file.parent)
    record = run.read() if run.has_record() else None
    test_names: tuple[str, ...] = ()
    if geometry is not None and not _is_of_test_images(submission):
        ids, name = geometry.ids(), f"the {geometry.files} out-of-distribution files"
        classes = source.info(data_folder).classes
        now = DataIdentity(dataset=dataset, classes=_names_if_there(dataset, data_folder))
    else:
        parts: tuple[Part, ...] = ("test",) if record is None else ("train", "test")
        found = read_data(dataset, data_folder, *parts)
        ids, name = image_ids(len(found.parts["test"].labels)), f"the test images of {dataset}"
        classes, now, test_names = found.info.classes, found.identity, found.test_names
    if record is not None:
        model = known_data(run, record)
        check_same_data(record.run_id, model, now)
        if file.name == run.submission.name:
            tables = _name_tables(run, model.classes or now.classes, test_names)
            _check_name_tables(tables, command(run.path.parent.parent.parent, "submit", record.run_id))
    check_content(submission, file, ids, classes=classes)
    return f"{len(ids):,} rows for {name}, in order, labels 0 to {classes - 1}"


def _name_tables(folder: RunFolder, classes: Sequence[str], images: Sequence[str]) -> dict[Path, bytes]:
    """What stands beside a submission, where classes and images have names."""
    tables = {folder.classes: name_table("label", "class", classes)} if classes else {}
    return {**tables, folder.images: name_table("id", "file", images)} if images else tables


def _check_name_tables(tables: Mapping[Path, bytes], cure: str) -> None:
    for path, expected in tables.items():
        if content(path) not in (None, expected):
            raise BadData(f"{path} has other names than the model's. Write it again with: {cure}")


def _names_if_there(dataset: str, data_folder: Path) -> tuple[str, ...]:
    """The names of the classes; () where the data set is not here, as predicting other files does not need it."""
    try:
        return class_names(dataset, data_folder)
    except MissingInput:
        return ()


def dataset_of(file: Path) -> str:
    """The data set of the run in whose folder a submission lies; the challenge's where it lies elsewhere.

    Raises BadData or DiskError where that run's record cannot be read.
    """
    run = RunFolder(file.parent)
    return run.read().recipe.dataset if run.has_record() else next(iter(OUT_OF_DISTRIBUTION))


def study_of(file: Path) -> StudyFile | None:
    """What study.json says of the study of the run in whose folder a submission lies; None where it lies elsewhere.

    Raises BadData or DiskError where it cannot be read.
    """
    place = file.absolute().parent.parent.parent
    if not NAME.fullmatch(place.name) or is_link(place):
        return None
    study = StudyFolder(place.parent, place.name)
    return study.read() if study.has_begun() else None


def _is_of_test_images(submission: bytes) -> bool:
    """Whether the first row has the id of a test image, a number."""
    first = submission.split(b"\n", 2)[1:2]
    return bool(first) and first[0].decode(errors="replace").partition(",")[0].strip('"').isdecimal()


def _any_there(folder: Path, geometry: OutOfDistribution) -> bool:
    return any(is_there(folder / geometry.file_name(file)) for file in range(geometry.files))


@final
class _Progress:
    """A line now and then while many images are predicted; on a terminal one line that renews itself."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said = time.monotonic()
        self._begun = self._said

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        rate = done / max(now - self._begun, 1e-9)
        line = f"predicted {done:,} of {total:,} images, {rate:,.0f} images/s, {(total - done) / rate:.0f} s left"
        if on_terminal():
            sys.stderr.write(f"\r{line}\x1b[K" + ("\n" if done == total else ""))
            sys.stderr.flush()
        elif now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            self._say(line)
