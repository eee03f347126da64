"""Predicts the classes of images in chunks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.contracts import ImageFiles, Predictor
from orchestrator.errors import BadData
from orchestrator.plugin_errors import blame_plugin
from orchestrator.submission.out_of_distribution import CheckedFiles, Images, map_images
from orchestrator.worker.evaluation import checked_probabilities

Labels = npt.NDArray[np.int64]
ProgressCallback = Callable[[int, int], None]  # number of images done, and of all images
_CHUNK = 2_000  # images per chunk: 6 MB of the challenge's images


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """The content of a submission: N ids and N predicted classes (int64)."""

    ids: Sequence[str]
    labels: Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedFiles:
    """What image files came to: the class of each that is sound, and why the others are damaged, both by name."""

    classes: Mapping[str, int]
    damaged: Mapping[str, str]


def predict_files(files: CheckedFiles, predictor: Predictor, *, classes: int, progress: ProgressCallback | None = None) -> Rows:
    """The most probable class of every image in `files`, ordered by file, severity and image.

    The files are mapped into memory and never read whole. Raises DiskError, and BadData if the predictor returns anything but
    finite probabilities N×classes.
    """
    chunks = (chunk for file in files.present for chunk in _predict(map_images(files, file), predictor, classes))
    ids = files.geometry.ids(files.present)
    return Rows(ids=ids, labels=_collect(chunks, len(ids), progress))


def predict_test_images(images: Images, predictor: Predictor, *, classes: int, progress: ProgressCallback | None = None) -> Rows:
    """The most probable class of every test image (uint8 N×C×H×W) with ids 0 … N-1. Raises BadData as `predict_files`."""
    chunks = _predict(images, predictor, classes)
    return Rows(ids=image_ids(len(images)), labels=_collect(chunks, len(images), progress))


def predict_image_files(
    files: ImageFiles, predictor: Predictor, *, classes: int, skip_damaged: bool, progress: ProgressCallback | None = None
) -> PredictedFiles:
    """The most probable class of every image file, read in parts that fit in memory.

    Without `skip_damaged` nothing is predicted any more from the first damaged file on: the others are only read, so that all
    damaged ones are known. Raises DiskError, and BadData as `predict_files`.
    """
    found: dict[str, int] = {}
    damaged: dict[str, str] = {}
    for part in files.read(files.names):
        damaged.update(part.damaged)
        if damaged and not skip_damaged:
            continue
        labels = [label for chunk in _predict(part.images, predictor, classes) for label in chunk.tolist()]
        found.update(zip(part.names, labels, strict=True))
        if progress is not None:
            progress(len(found) + len(damaged), len(files.names))
    return PredictedFiles(classes=found, damaged=damaged)


def damaged_files(files: ImageFiles, names: Sequence[str]) -> Mapping[str, str]:
    """Which of these image files are damaged, and why: all are read, and nothing is predicted. Raises DiskError."""
    return {name: why for part in files.read(names) for name, why in part.damaged.items()}


def image_ids(images: int) -> list[str]:
    """The ids of N test images: 0 … N-1."""
    return [str(image) for image in range(images)]


def _predict(images: Images, predictor: Predictor, classes: int) -> Iterator[Labels]:
    for start in range(0, len(images), _CHUNK):
        chunk = np.array(images[start : start + _CHUNK], order="C")  # a copy: predictors may change their input
        with blame_plugin("the model"):
            found = predictor(chunk)
        try:
            probabilities = checked_probabilities(found, len(chunk), classes)
        except BadData as error:
            raise BadData(f"{error} (images {start} to {start + len(chunk) - 1})") from error
        yield probabilities.argmax(axis=1).astype(np.int64)


def _collect(chunks: Iterable[Labels], total: int, progress: ProgressCallback | None) -> Labels:
    labels = np.empty(total, dtype=np.int64)
    done = 0
    for chunk in chunks:
        labels[done : done + len(chunk)] = chunk
        done += len(chunk)
        if progress is not None:
            progress(done, total)
    return labels
