"""Small training data of other kinds, and the short runs that the conformance suites make."""

import dataclasses
from pathlib import Path

import torch

from orchestrator.contracts import Data, DataSetInfo
from orchestrator.testing.training_runs import asked, begin, digits_data, figures, limit_micro_batch, recipe, run, same, weights

__all__ = [
    "asked",
    "begin",
    "digits_data",
    "figures",
    "limit_micro_batch",
    "moved",
    "random_data",
    "recipe",
    "run",
    "same",
    "weights",
]


def random_data(info: DataSetInfo, train: int, validation: int, folder: Path = Path("nowhere")) -> Data:
    """Noise in the shape that `info` says."""
    generator = torch.Generator().manual_seed(0)

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        shape = (count, info.channels, info.size, info.size)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        return images, torch.randint(0, info.classes, (count,), generator=generator)

    (train_images, train_labels), (validation_images, validation_labels) = draw(train), draw(validation)
    return Data(
        train_images=train_images,
        train_labels=train_labels,
        validation_images=validation_images,
        validation_labels=validation_labels,
        info=info,
        folder=folder,
    )


def moved(data: Data, device: str) -> Data:
    """The same images and labels on another device."""
    return dataclasses.replace(
        data,
        train_images=data.train_images.to(device),
        train_labels=data.train_labels.to(device),
        validation_images=data.validation_images.to(device),
        validation_labels=data.validation_labels.to(device),
    )
