"""A trainer without a network, for jobs that must take as long, or fail, as a test prescribes."""

import time
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
    """What happens, and how long an epoch takes."""

    batch_size: int = 32
    failure: str = ""  # in the second epoch: "raise", or "foreign-number", which cannot be recorded
    seconds: float = 0.0  # that an epoch takes
    told_seconds: float = 0.25  # that it reports: what checkpoints may cost is a share of that


@final
class PrescribedTraining:
    """Its validation accuracy rises by a hundredth with each epoch."""

    def __init__(self, recipe: Recipe) -> None:
        self._settings = Hyperparameters(**recipe.params)
        self._epoch = 0

    @property
    def capabilities(self) -> Capabilities:
        """None beyond the required."""
        return Capabilities()

    def epoch(self) -> Epoch:
        """The next epoch, unless a failure is prescribed for it."""
        self._epoch += 1
        time.sleep(self._settings.seconds)
        failure = self._settings.failure if self._epoch == 2 else ""
        if failure == "raise":
            raise RuntimeError("this trainer was told to fail")
        acc = self._epoch / 100
        return Epoch(
            number=self._epoch,
            train_loss=1.0,
            train_acc=torch.tensor(acc) if failure else acc,  # type: ignore[arg-type]  # what is under test
            val_loss=1.0,
            val_acc=acc,
            lr=0.1,
            seconds=self._settings.told_seconds,
            batch_losses=(1.0, 1.0),
        )

    def state_dict(self) -> dict[str, Any]:
        """The number of its last epoch."""
        return {"epoch": self._epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue after the epoch that is stored."""
        self._epoch = state["epoch"]

    def snapshot(self) -> dict[str, Any]:
        """What the predictor needs."""
        return {"classes": 10}


@final
class PrescribedTrainer:
    """Its predictor gives every class the same probability."""

    hyperparameters: Sequence[type] = (Hyperparameters,)

    def check(self, recipe: Recipe, info: DataSetInfo, data_folder: Path) -> None:
        """Raises for unknown params."""
        Hyperparameters(**recipe.params)

    def begin(self, recipe: Recipe, data: Data, device: str) -> PrescribedTraining:
        """A new run."""
        return PrescribedTraining(recipe)

    def restore(self, snapshot: Mapping[str, Any], device: str) -> Predictor:
        """The predictor of any snapshot."""

        def predict(images: Any) -> torch.Tensor:
            return torch.full((len(images), int(snapshot["classes"])), 1 / snapshot["classes"])

        return predict


trainer = PrescribedTrainer()
