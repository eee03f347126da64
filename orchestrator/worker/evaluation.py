"""What a model's predictions measure on labelled images."""

import numpy as np

from orchestrator.record import Evaluation

# Of float32, in which models predict: a true class whose probability has become 0 there costs 103 nats, and not infinitely many.
_SMALLEST_PROBABILITY = 2.0**-149


def evaluation(probabilities: np.ndarray, labels: np.ndarray) -> Evaluation:
    """Loss (nats) and accuracy of probabilities, N×classes, on N labels."""
    chosen = probabilities[np.arange(len(labels)), labels]
    loss = float(-np.log(np.maximum(chosen, _SMALLEST_PROBABILITY)).mean())
    return Evaluation(images=len(labels), loss=loss, acc=float((probabilities.argmax(1) == labels).mean()))
