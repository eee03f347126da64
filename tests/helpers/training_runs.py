"""Small real training data, and short runs on it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from orchestrator import plugins
from orchestrator.contracts import Data, DataSetInfo, Training
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch


def digits_data(train: int = 48, validation: int = 20, folder: Path = Path("nowhere"), **info: Any) -> Data:
    """The first digits of scikit-learn's set; keywords replace what suits them."""
    dataset = plugins.dataset("digits")
    labelled = dataset.load(folder, "train")
    images, labels = torch.from_numpy(labelled.images), torch.from_numpy(labelled.labels)
    return Data(
        train_images=images[:train],
        train_labels=labels[:train],
        validation_images=images[train : train + validation],
        validation_labels=labels[train : train + validation],
        info=dataclasses.replace(dataset.info(folder), **info),
        folder=folder,
    )


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


def recipe(trainer: str, epochs: int, seed: int = 7, **params: Any) -> Recipe:
    return Recipe(plan="test", trainer=trainer, dataset="digits", epochs=epochs, seed=seed, params=params)


def asked(trainer: str, params: Mapping[str, Any]) -> Recipe:
    """A recipe to be checked: of five epochs, with params that may be wrong."""
    return Recipe(plan="test", trainer=trainer, dataset="digits", epochs=5, seed=7, params=params)


def begin(trainer: str, data: Data, epochs: int, seed: int = 7, **params: Any) -> Training:
    return plugins.begin(recipe(trainer, epochs, seed, **params), data, "cpu")


def limit_micro_batch(training: Training, images: int) -> None:
    assert training.capabilities.micro_batch is not None
    training.capabilities.micro_batch.limit(images)


def figures(epoch: Epoch) -> Epoch:
    """All that must be the same when a run is repeated: everything but the time it took."""
    return dataclasses.replace(epoch, seconds=0.0)


def run(training: Training, epochs: int) -> list[Epoch]:
    return [figures(training.epoch()) for _ in range(epochs)]


def weights(training: Training) -> Mapping[str, torch.Tensor]:
    model: Mapping[str, torch.Tensor] = training.state_dict()["model"]
    return model


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
