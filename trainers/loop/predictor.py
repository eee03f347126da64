"""A trained model that predicts, with the preprocessing it was trained for."""

from typing import Any, final

import torch

from orchestrator.errors import InvalidInput
from orchestrator.support.gpu_memory import is_out_of_memory
from trainers.loop.precision import Precision, autocast, exact_arithmetic
from trainers.loop.preprocessing import EvaluationTransform, Preprocessing, memory_format

# Images at a time: enough to fill a GPU with these models, and few enough pixels for a few GB.
_MOST_IMAGES = 500
_MOST_PIXELS = _MOST_IMAGES * 64**2


def evaluation_batch(size: int) -> int:
    """How many images of so many pixels are evaluated at a time."""
    return max(1, min(_MOST_IMAGES, _MOST_PIXELS // size**2))


@final
class ModelPredictor:
    """Implements `contracts.Predictor` for any module that turns N×C×H×W images into N×classes logits."""

    def __init__(
        self,
        model: torch.nn.Module,
        preprocessing: Preprocessing,
        classes: int,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self._model = model.to(device).to(memory_format=memory_format(preprocessing.size)).eval()
        self._transform = EvaluationTransform(preprocessing, device)
        self._stored = preprocessing.stored
        self._size = preprocessing.size
        self._classes = classes
        self._device = device
        self._precision = precision

    def __call__(self, images: Any) -> torch.Tensor:
        """Probabilities N×classes (float32, on the CPU) of uint8 images N×C×H×W: a tensor, or an array, also memory-mapped.

        Raises InvalidInput for images of another type or shape than the model was trained for.
        """
        expected = (self._stored.channels, self._stored.size, self._stored.size)
        if str(images.dtype) not in ("uint8", "torch.uint8") or tuple(images.shape[1:]) != expected:
            shape = "×".join(str(length) for length in images.shape)
            raise InvalidInput(f"this model predicts uint8 images N×{'×'.join(map(str, expected))}, not {images.dtype} {shape}")
        probabilities = torch.empty(len(images), self._classes)
        size, first = evaluation_batch(self._size), 0
        while first < len(images):
            part = images[first : first + size]
            # A slice of a memory-mapped file is read only here, and may not be written to: take a copy.
            batch = part if isinstance(part, torch.Tensor) else torch.tensor(part)
            try:
                probabilities[first : first + len(batch)] = self._predicted(batch)
            except (RuntimeError, MemoryError) as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
                size //= 2  # in evaluation images are independent: only the time changes
                continue
            first += len(batch)
        return probabilities

    def _predicted(self, batch: torch.Tensor) -> torch.Tensor:
        with exact_arithmetic(self._device), torch.inference_mode(), autocast(self._device, self._precision):
            logits: torch.Tensor = self._model(self._transform(batch.to(self._device)))
            return logits.float().softmax(dim=1).cpu()
