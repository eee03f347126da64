"""Short runs of a trainer on small real data, and what of them must be repeatable."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from orchestrator import plugins
from orchestrator.contracts import Data, Training
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch


def digits_data(train: int = 48, validation: int = 20, folder: Path = Path("nowhere"), **info: Any) -> Data:
    """The first digits of scikit-learn's set; keywords replace fields of its info."""
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


def recipe(trainer: str, epochs: int, seed: int = 7, **params: Any) -> Recipe:
    """A recipe of a trainer for the data set `digits`."""
    return Recipe(plan="test", trainer=trainer, dataset="digits", epochs=epochs, seed=seed, params=params)


def asked(trainer: str, params: Mapping[str, Any]) -> Recipe:
    """A recipe to be checked: of five epochs, with params that may be wrong."""
    return Recipe(plan="test", trainer=trainer, dataset="digits", epochs=5, seed=7, params=params)


def begin(trainer: str, data: Data, epochs: int, seed: int = 7, **params: Any) -> Training:
    """Begin a run of a trainer, found by its name, on the CPU."""
    return plugins.begin(recipe(trainer, epochs, seed, **params), data, "cpu")


def limit_micro_batch(training: Training, images: int) -> None:
    """Let at most so many images pass through the model at a time."""
    assert training.capabilities.micro_batch is not None
    training.capabilities.micro_batch.limit(images)


def figures(epoch: Epoch) -> Epoch:
    """All that must be the same when a run is repeated: everything but the time it took."""
    return dataclasses.replace(epoch, seconds=0.0)


def run(training: Training, epochs: int) -> list[Epoch]:
    """Train so many epochs; their seconds are left out."""
    return [figures(training.epoch()) for _ in range(epochs)]


def weights(training: Training) -> Mapping[str, torch.Tensor]:
    """The model's part of a training's state."""
    model: Mapping[str, torch.Tensor] = training.state_dict()["model"]
    return model


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    """Whether both hold the same tensors under the same names."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
