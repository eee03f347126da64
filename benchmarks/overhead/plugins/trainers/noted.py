"""The trainer `cnn` with a note of when each of its jobs begins and each of its epochs begins and ends.

The notes are lines of JSON in the working directory, one file per worker; times are nanoseconds of the monotonic clock. With
`single_threaded` a job uses one core, whatever the worker was given.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch

from orchestrator.contracts import Capabilities, Data, DataSetInfo, Predictor, Training
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch
from trainers import cnn


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """What the notes are for decides it."""

    single_threaded: bool = False


def _without(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name != "single_threaded"}


def _note(what: str, began: int) -> None:
    with Path(f"notes-{os.getpid()}.jsonl").open("a") as notes:
        notes.write(json.dumps({"what": what, "began": began, "ended": time.monotonic_ns()}) + "\n")


@final
class NotedTraining:
    """Implements `contracts.Training`: does what the inner training does."""

    def __init__(self, inner: Training) -> None:
        self._inner = inner

    def epoch(self) -> Epoch:
        """An epoch, noted."""
        began = time.monotonic_ns()
        epoch = self._inner.epoch()
        _note("epoch", began)
        return epoch

    @property
    def capabilities(self) -> Capabilities:
        """Those of the inner training."""
        return self._inner.capabilities

    def state_dict(self) -> dict[str, Any]:
        """Its state."""
        return self._inner.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._inner.load_state_dict(state)

    def snapshot(self) -> dict[str, Any]:
        """What `restore` needs."""
        return self._inner.snapshot()


@final
class NotedTrainer:
    """Implements `contracts.Trainer`."""

    hyperparameters: Sequence[type] = (*cnn.trainer.hyperparameters, Threads)

    def check(self, recipe: Recipe, info: DataSetInfo, data_folder: Path) -> None:
        """As `cnn` does."""
        cnn.trainer.check(replace(recipe, params=_without(recipe.params)), info, data_folder)

    def begin(self, recipe: Recipe, data: Data, device: str) -> NotedTraining:
        """A run of `cnn` at its beginning, noted."""
        began = time.monotonic_ns()
        if recipe.params["single_threaded"]:
            torch.set_num_threads(1)
        training = NotedTraining(cnn.trainer.begin(replace(recipe, params=_without(recipe.params)), data, device))
        _note("begin", began)
        return training

    def restore(self, snapshot: Mapping[str, Any], device: str) -> Predictor:
        """As `cnn` does."""
        return cnn.trainer.restore(snapshot, device)


trainer = NotedTrainer()
