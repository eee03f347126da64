"""A trainer without a network: its learning curve is a formula of its hyperparameters, and an epoch takes no time.

What a study of it takes is what orchestration takes.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch

from orchestrator.contracts import Capabilities, Data, DataSetInfo, Predictor
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """Five that are sampled, as many as the plan `part1` has."""

    batch_size: int = 32  # images
    learning_rate: float = 0.1
    weight_decay: float = 1e-3
    label_smoothing: float = 0.0
    dropout: float = 0.0
    alike: bool = False  # whether all settings have the same curve, so that none is pruned


@final
class Synthetic:
    """Implements `contracts.Training`."""

    capabilities = Capabilities()

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._settings = Hyperparameters(**recipe.params)
        self._epoch = 0

    def epoch(self) -> Epoch:
        """A saturating curve, higher the nearer the setting is to a learning rate of .03 without dropout, with a little noise."""
        self._epoch += 1
        settings = self._settings
        worth, noise = 0.9, 0.0
        if not settings.alike:
            distance = abs(math.log10(settings.learning_rate / 0.03)) + settings.dropout + settings.label_smoothing
            worth = 1 - distance / 4
            noise = random.Random(f"{self._recipe.seed}/{self._epoch}").uniform(-0.01, 0.01)
        acc = min(0.99, max(0.01, worth * (1 - math.exp(-self._epoch / 5)) + noise))
        return Epoch(
            number=self._epoch,
            train_loss=-math.log(acc),
            train_acc=acc,
            val_loss=0.1 - math.log(acc),
            val_acc=acc,
            lr=settings.learning_rate,
            seconds=0.05,  # told, not taken: what checkpoints may cost is a share of it
            batch_losses=tuple(1.0 - acc / (step + 1) for step in range(20)),
        )

    def state_dict(self) -> dict[str, Any]:
        """The epochs done."""
        return {"epoch": self._epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._epoch = state["epoch"]

    def snapshot(self) -> dict[str, Any]:
        """What `restore` needs."""
        return {"classes": 10}


@final
class SyntheticTrainer:
    """Implements `contracts.Trainer`."""

    hyperparameters: Sequence[type] = (Hyperparameters,)

    def check(self, recipe: Recipe, info: DataSetInfo, data_folder: Path) -> None:  # noqa: ARG002 - needs neither
        """Any values of the right names will do."""
        Hyperparameters(**recipe.params)

    def begin(self, recipe: Recipe, data: Data, device: str) -> Synthetic:  # noqa: ARG002 - needs neither
        """A curve at its beginning."""
        return Synthetic(recipe)

    def restore(self, snapshot: Mapping[str, Any], device: str) -> Predictor:  # noqa: ARG002 - always on the CPU
        """Every class is equally probable."""

        def predict(images: Any) -> torch.Tensor:
            return torch.full((len(images), int(snapshot["classes"])), 1 / snapshot["classes"])

        return predict


trainer = SyntheticTrainer()
