"""The models that both sides train: built by the same code, begun from the same weights, trained with the same settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks import plain_loop
from orchestrator import plugins
from orchestrator.contracts import Data, Training
from orchestrator.hyperparameters import divide
from orchestrator.recipe import Recipe
from trainers import cnn, resnet
from trainers.loop.trainer import Build, ImageShape

_MOMENTUM, _WEIGHT_DECAY = 0.9, 5e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model of a recipe, and the rate at which it learns."""

    title: str
    trainer: str
    build: Build
    hyperparameters: type
    params: Mapping[str, Any]  # of the model
    learning_rate: float  # at its peak, per step

    def begin(self, data: Data, device: torch.device, *, batch: int, epochs: int, seed: int = 0) -> Training:
        """A run of the shared loop, as a recipe says it."""
        params = {
            **self.params,
            "batch_size": batch,
            "learning_rate": self.learning_rate,
            "momentum": _MOMENTUM,
            "weight_decay": _WEIGHT_DECAY,
            "optimizer": "sgd",
            "schedule": "cosine",
            "warmup": 0.0,
        }
        recipe = Recipe(plan="benchmark", trainer=self.trainer, dataset="cifar100", epochs=epochs, seed=seed, params=params)
        return plugins.trainer(self.trainer).begin(recipe, data, str(device))

    def plain(self, begun: Training, data: Data) -> nn.Module:
        """The same network, in the layout that PyTorch gives it, with the weights that `begun` has now."""
        (hyperparameters,) = divide((self.hyperparameters,), self.params)
        info = data.info
        network = self.build(hyperparameters, info.classes, ImageShape(channels=info.channels, size=info.size))
        network.load_state_dict(begun.state_dict()["model"])
        return network

    def settings(self, epochs: int) -> plain_loop.Settings:
        """Of the plain loop."""
        return plain_loop.Settings(
            learning_rate=self.learning_rate, momentum=_MOMENTUM, weight_decay=_WEIGHT_DECAY, epochs=epochs
        )


CNN = Model(
    title="three convolutions of 32, 64 and 128 channels without BatchNorm, one hidden layer of 256 (as in 000-P1)",
    trainer="cnn",
    build=cnn.build,
    hyperparameters=cnn.Hyperparameters,
    params={"blocks": [{"channels": channels, "batch_norm": False} for channels in (32, 64, 128)], "hidden": [256]},
    learning_rate=0.05,
)
RESNET18 = Model(
    title="ResNet-18 with the 3×3 stem",
    trainer="resnet",
    build=resnet.build,
    hyperparameters=resnet.Hyperparameters,
    params={"architecture": "resnet18", "stem": "3x3"},
    learning_rate=0.05,
)
