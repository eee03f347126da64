"""A picture of what a recipe's augmentation does: a row for each image, as validation sees it and as successive epochs do."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from orchestrator.contracts import DataSetInfo
from orchestrator.errors import InvalidInput
from orchestrator.support.seeds import derive
from trainers.augmentation.mixing import Mixer
from trainers.loop.hyperparameters import LoopHyperparameters
from trainers.loop.inputs import TrainingInputs, preprocessing_of
from trainers.loop.preprocessing import EvaluationTransform, Preprocessing
from trainers.loop.random_streams import generator, seeded
from trainers.preview.png import png

_CELL = 96  # pixels, at least, of an image in the picture
_GAP = 2  # pixels between images
_WIDE_GAP = 10  # pixels between the image as it is and what becomes of it


def preview(
    settings: Sequence[Any], images: npt.NDArray[np.uint8], info: DataSetInfo, *, seed: int, rows: int, epochs: int
) -> bytes:
    """A PNG file of `rows` of the training images (uint8 N×C×H×H), evenly spaced, and their first `epochs` from this seed.

    Where a recipe mixes the images of a batch, those of the picture are mixed with each other. `settings` are the instances of a
    trainer's hyperparameters. Raises InvalidInput where the shared loop's are not among them.
    """
    loop = next((part for part in settings if isinstance(part, LoopHyperparameters)), None)
    if loop is None:
        raise InvalidInput("this trainer does not use the shared training loop: what it does to its images is unknown")
    prepared = preprocessing_of(loop, info)
    source = torch.from_numpy(images)
    inputs = TrainingInputs(source, loop, prepared, info)
    transform = EvaluationTransform(prepared, torch.device("cpu"))
    chosen = torch.linspace(0, len(source) - 1, rows).long()
    mixer = Mixer(loop.mixing, info.classes) if loop.mixing else None
    batches = [transform(source[chosen])]
    for number in range(1, epochs + 1):
        batch = inputs.batch(chosen, inputs.draw(generator(derive(seed, "augmentation", number))))
        if mixer is not None:
            with seeded(derive(seed, "mixing", number), torch.device("cpu")):
                batch, _ = mixer(batch, torch.zeros(rows, dtype=torch.int64))
        batches.append(batch)
    return picture([_visible(batch, prepared) for batch in batches])


def picture(columns: Sequence[torch.Tensor]) -> bytes:
    """A PNG file of columns of images, uint8 R×C×S×S each (1 or 3 channels), the first one a little apart.

    Small images are enlarged by a whole number, each pixel a square.
    """
    factor = -(-_CELL // columns[0].shape[-1])
    strips = [torch.cat([_framed(image, factor) for image in column], dim=1) for column in columns]
    strips.insert(1, torch.full((3, strips[0].shape[1], _WIDE_GAP), 255, dtype=torch.uint8))
    return png(torch.cat(strips, dim=2))


def _visible(normalised: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """What the model gets, as colours again: uint8."""
    std, mean = (torch.tensor(values).view(-1, 1, 1) for values in (preprocessing.std, preprocessing.mean))
    return ((normalised * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)


def _framed(image: torch.Tensor, factor: int) -> torch.Tensor:
    """uint8 3×H×H, enlarged, with white to the right and below."""
    squares = image.repeat_interleave(factor, dim=1).repeat_interleave(factor, dim=2)
    return torch.nn.functional.pad(squares.expand(3, -1, -1), (0, _GAP, 0, _GAP), value=255)
