"""A small network with BatchNorm on the shared training loop that refuses more images at a time than fit."""

from dataclasses import dataclass

import torch
from torch import nn

from trainers.loop.trainer import ImageShape, SupervisedTrainer


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    fits: int = 0  # images that pass at a time
    restores: bool = True  # whether there is room to predict with what was trained
    after: int = 0  # batches of training for which everything fits


class Hungry(nn.Module):
    def __init__(self, settings: Hyperparameters, inputs: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(inputs, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, classes))
        self.settings = settings
        self.batches = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.batches += self.training
        if self.training and len(images) > self.settings.fits and self.batches > self.settings.after:
            raise torch.OutOfMemoryError(f"no room for {len(images)} images")
        if not (self.batches or self.settings.restores):
            raise torch.OutOfMemoryError("no room to predict")
        logits: torch.Tensor = self.layers(images)
        return logits


def build(hyperparameters: Hyperparameters, classes: int, image: ImageShape) -> nn.Module:
    return Hungry(hyperparameters, image.channels * image.size * image.size, classes)


trainer = SupervisedTrainer(build=build, hyperparameters=Hyperparameters)
