"""The data that a worker would train on, for the sides that have none."""

from pathlib import Path

import numpy as np
import torch

from orchestrator import plugins
from orchestrator.contracts import Data
from orchestrator.recipe import Recipe
from orchestrator.worker.splits import split


def load(recipe: Recipe, folder: Path) -> Data:
    """The training and validation images of a recipe, on the CPU."""
    source = plugins.dataset(recipe.dataset)
    info, read = source.info(folder), source.load(folder, "train")
    parts = split(read.labels, seed=recipe.split.seed, validation=info.validation_images, confirmation=info.confirmation_images)

    def part(indices: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(read.images[indices]), torch.from_numpy(read.labels[indices])

    train_images, train_labels = part(parts.train)
    validation_images, validation_labels = part(parts.validation)
    return Data(
        train_images=train_images,
        train_labels=train_labels,
        validation_images=validation_images,
        validation_labels=validation_labels,
        info=info,
        folder=folder,
    )
