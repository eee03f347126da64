"""From a run's checkpoint to its submission.csv, checked."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from orchestrator import plugins
from orchestrator.contracts import DataSetInfo
from orchestrator.errors import InvalidInput
from orchestrator.record import RunRecord
from orchestrator.storage.run_folder import RunFolder
from orchestrator.storage.study_file import StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.submission.out_of_distribution import CHALLENGE, CheckedFiles, OutOfDistribution, check_files
from orchestrator.submission.predictions import image_ids, predict_files, predict_test_images
from orchestrator.submission.predictor import load_predictor
from orchestrator.submission.submission_file import check_content, submission_content, write_name_table, write_submission
from orchestrator.support.activity import bar_or, doing, on_terminal
from orchestrator.support.disk_lookups import is_link, is_there
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

    Beside predictions for test images stand classes.csv and images.csv, where classes and images have names.
    """
    with doing(f"loading the weights of {record.run_id}"):
        model = load_predictor(folder, device)
    source = plugins.dataset(record.recipe.dataset)
    classes = plugins.dataset_info(record.recipe.dataset, data_folder).classes
    progress = _Progress(say)
    if what.files is not None:
        with bar_or("predicting"):
            rows = predict_files(what.files, model, classes=classes, progress=progress)
    else:
        if source.names.classes is not None:
            write_name_table(folder.classes, "label", "class", source.names.classes(data_folder))
        if source.names.images is not None:
            write_name_table(folder.images, "id", "file", source.names.images(data_folder, "test"))
        images = source.load(data_folder, "test").images
        with bar_or("predicting"):
            rows = predict_test_images(images, model, classes=classes, progress=progress)
    write_submission(folder.submission, rows, classes=classes)
    say(f"submission: {folder.submission}, {len(rows.ids):,} rows for {what.describe()}")
    return folder.submission


def check(file: Path, dataset: str, data_folder: Path) -> str:
    """Check that a file is a complete submission for this data set. Returns as what. Raises BadData, MissingInput."""
    source = plugins.dataset(dataset)
    geometry = OUT_OF_DISTRIBUTION.get(dataset)
    submission = submission_content(file)
    if geometry is not None and not _is_of_test_images(submission):
        ids, name = geometry.ids(), f"the {geometry.files} out-of-distribution files"
    else:
        ids, name = image_ids(len(source.load(data_folder, "test").labels)), f"the test images of {dataset}"
    classes = plugins.dataset_info(dataset, data_folder).classes
    check_content(submission, file, ids, classes=classes)
    return f"{len(ids):,} rows for {name}, in order, labels 0 to {classes - 1}"


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
