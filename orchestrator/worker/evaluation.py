"""What a model's predictions measure on labelled images."""

from typing import Any

import numpy as np

from orchestrator.errors import BadData
from orchestrator.record import Evaluation

# Of float32, in which models predict: a true class whose probability has become 0 there costs 103 nats, and not infinitely many.
_SMALLEST_PROBABILITY = 2.0**-149


def checked_probabilities(found: Any, images: int, classes: int) -> np.ndarray:
    """What a predictor gave, as an array N×classes. Raises BadData for anything but finite probabilities of that shape.

    `found` may be a tensor on any device, also one that has a gradient, or whatever numpy can read.
    """
    if hasattr(found, "detach"):
        found = found.detach().cpu().double()  # numpy has no bfloat16
    try:
        probabilities = np.asarray(found)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadData(f"the model returned a {type(found).__name__} that is no array: {error}") from error
    if probabilities.dtype.kind not in "fiu":
        raise BadData(f"the model returned {probabilities.dtype} where probabilities are expected")
    if probabilities.shape != (images, classes):
        raise BadData(f"the model returned an array {probabilities.shape} for {images} images of {classes} classes")
    if not np.isfinite(probabilities).all():
        raise BadData("the model returned probabilities that are not finite")
    return probabilities


def evaluation(probabilities: np.ndarray, labels: np.ndarray) -> Evaluation:
    """Loss (nats) and accuracy of probabilities, N×classes, on N labels."""
    chosen = probabilities[np.arange(len(labels)), labels]
    loss = float(-np.log(np.maximum(chosen, _SMALLEST_PROBABILITY)).mean())
    return Evaluation(images=len(labels), loss=loss, acc=float((probabilities.argmax(1) == labels).mean()))
