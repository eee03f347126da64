"""From a run's checkpoint to its submission.csv, checked."""

import contextlib
import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from orchestrator import plugins
from orchestrator.contracts import DataSetInfo
from orchestrator.errors import InvalidInput, OrchestrateError
from orchestrator.record import RunRecord
from orchestrator.storage.run_folder import RunFolder
from orchestrator.submission.out_of_distribution import CHALLENGE, Files, OutOfDistribution, check_files
from orchestrator.submission.predictions import image_ids, predict_files, predict_test_images
from orchestrator.submission.predictor import predictor
from orchestrator.submission.submission_file import check_submission, write_names, write_submission

# The data sets whose challenge is scored on other images than their own test set.
OUT_OF_DISTRIBUTION = {"cifar100": CHALLENGE}

_SECONDS_BETWEEN_LINES = 10.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a submission is made for: checked out-of-distribution files, or, where there are none, the test images."""

    dataset: str
    files: Files | None

    def describe(self) -> str:
        """In a user's words."""
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
    model = predictor(folder, device)
    source = plugins.dataset(record.recipe.dataset)
    classes = source.info(data_folder).classes
    progress = _Progress(say)
    if what.files is not None:
        rows = predict_files(what.files, model, classes=classes, progress=progress)
    else:
        if source.names.classes is not None:
            write_names(folder.classes, "label", "class", source.names.classes(data_folder))
        if source.names.images is not None:
            write_names(folder.images, "id", "file", source.names.images(data_folder, "test"))
        images = source.load(data_folder, "test").images
        rows = predict_test_images(images, model, classes=classes, progress=progress)
    write_submission(folder.submission, rows, classes=classes)
    say(f"submission: {folder.submission}, {len(rows.ids):,} rows for {what.describe()}")
    return folder.submission


def check(file: Path, dataset: str, data_folder: Path) -> str:
    """Prove that a file is a whole submission for this data set. Returns what it was checked as. Raises BadData, MissingInput."""
    source = plugins.dataset(dataset)
    geometry = OUT_OF_DISTRIBUTION.get(dataset)
    if geometry is not None and not _is_of_test_images(file):
        ids, name = geometry.ids(), f"the {geometry.files} out-of-distribution files"
    else:
        ids, name = image_ids(len(source.load(data_folder, "test").labels)), f"the test images of {dataset}"
    classes = source.info(data_folder).classes
    check_submission(file, ids, classes=classes)
    return f"{len(ids):,} rows for {name}, in order, labels 0 to {classes - 1}"


def dataset_of(file: Path) -> str:
    """The data set of the run in whose folder a submission lies; the challenge's where it lies elsewhere."""
    run = RunFolder(file.parent)
    with contextlib.suppress(OrchestrateError):
        if run.begun():
            return run.read().recipe.dataset
    return next(iter(OUT_OF_DISTRIBUTION))


def _is_of_test_images(file: Path) -> bool:
    """Whether the first row has the id of a test image, a number. What cannot be read is told by the check itself."""
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            first = list(itertools.islice(stream, 2))[1:]
    except OSError:
        return False
    return bool(first) and first[0].partition(",")[0].strip('"').isdecimal()


def _any_there(folder: Path, geometry: OutOfDistribution) -> bool:
    return any((folder / geometry.file_name(file)).exists() for file in range(geometry.files))


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
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{line}\x1b[K" + ("\n" if done == total else ""))
            sys.stderr.flush()
        elif now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            self._say(line)
