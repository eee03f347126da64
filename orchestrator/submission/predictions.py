"""Predicted classes of images, a chunk at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.contracts import Predictor
from orchestrator.errors import BadData
from orchestrator.submission.out_of_distribution import Files, Images, mapped

Labels = npt.NDArray[np.int64]
Progress = Callable[[int, int], None]  # images done, images in all
_CHUNK = 2_000  # images read and predicted at a time: 6 MB of the challenge's


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """The content of a submission: ids, and as many predicted classes (int64 N)."""

    ids: Sequence[str]
    labels: Labels


def predict_files(files: Files, predictor: Predictor, *, classes: int, progress: Progress | None = None) -> Rows:
    """The predicted class, the one of highest probability, of every image in `files`, in file, severity, image order.

    The files are mapped into memory, never read whole. Raises DiskError, and BadData when the predictor gives anything but
    finite probabilities N×classes.
    """
    chunks = (chunk for file in files.present for chunk in _predictions(mapped(files, file), predictor, classes))
    ids = files.geometry.ids(files.present)
    return Rows(ids=ids, labels=_collected(chunks, len(ids), progress))


def predict_test_images(images: Images, predictor: Predictor, *, classes: int, progress: Progress | None = None) -> Rows:
    """The predicted class of every test image (uint8 N×C×H×W), under the ids 0 … N-1. Raises BadData as `predict_files`."""
    chunks = _predictions(images, predictor, classes)
    return Rows(ids=image_ids(len(images)), labels=_collected(chunks, len(images), progress))


def image_ids(images: int) -> list[str]:
    """The ids of so many test images: 0 … N-1."""
    return [str(image) for image in range(images)]


def _predictions(images: Images, predictor: Predictor, classes: int) -> Iterator[Labels]:
    for start in range(0, len(images), _CHUNK):
        chunk = np.array(images[start : start + _CHUNK], order="C")  # a copy: a predictor may want to own its input
        probabilities = np.asarray(predictor(chunk))
        if probabilities.shape != (len(chunk), classes):
            raise BadData(f"the model gave an array {probabilities.shape} for {len(chunk)} images of {classes} classes")
        if not np.isfinite(probabilities).all():
            raise BadData(f"the model gave probabilities that are not finite, among images {start} to {start + len(chunk) - 1}")
        yield probabilities.argmax(axis=1).astype(np.int64)


def _collected(chunks: Iterable[Labels], total: int, progress: Progress | None) -> Labels:
    labels = np.empty(total, dtype=np.int64)
    done = 0
    for chunk in chunks:
        labels[done : done + len(chunk)] = chunk
        done += len(chunk)
        if progress is not None:
            progress(done, total)
    return labels
