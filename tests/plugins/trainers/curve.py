"""A trainer without a network: its learning curve is a formula of its hyperparameters, and it can be told to misbehave.

For tests of what happens around a training run, thousands of epochs a second, through the same borders as every trainer. Torch is
imported only where it is used, so that a study of this trainer starts in a fraction of the time.
"""

import fcntl
import math
import os
import random
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from orchestrator.contracts import Capabilities, Data, DataSetInfo, Diverged, MicroBatch, Predictor
from orchestrator.errors import BadData, MissingInput
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch
from orchestrator.support.fault_injection import CrashPoint, reached

if TYPE_CHECKING:
    import torch

ERRORS = {
    "raise": RuntimeError("this trainer was told to fail"),
    "diverge": Diverged("train_loss is nan"),
    "full-disk": OSError(28, "No space left on device"),
    "bad-data": BadData("batch 3 of the training images is damaged"),
    "missing-data": MissingInput("there are no training images"),
    "device": RuntimeError("CUDA error: an illegal memory access was encountered"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    batch_size: int = 32
    learning_rate: float = 0.1
    weight_decay: float = 1e-3
    label_smoothing: float = 0.0
    dropout: float = 0.0
    # One of ERRORS, or out-of-memory, raise-differently, explode, chance, kill, kill-on-second, hang, foreign-number.
    misbehaviour: str = ""
    at_epoch: int = 2  # of the misbehaviour; 0 is before the first
    fits: int = 0  # images at a time that do not run out of memory
    marker: str = ""  # a file that is made by the misbehaviour, which then does not happen again
    seconds: float = 0.0  # that an epoch takes
    device_file: str = ""  # stands for a device that one run alone keeps busy
    told_seconds: float = 0.25  # that it says it took: what checkpoints may cost is a share of that


@final
class Curve:
    def __init__(self, recipe: Recipe, device: str) -> None:
        self._recipe = recipe
        self._device = device
        self._settings = Hyperparameters(**recipe.params)
        self._epoch = 0
        self._micro_batch = self._settings.batch_size
        if self._settings.misbehaviour and self._settings.at_epoch == 0:
            self._misbehave(self._settings)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(micro_batch=MicroBatch(images=self._micro_batch, limit=self._limit_micro_batch))

    def _limit_micro_batch(self, images: int) -> None:
        self._micro_batch = images

    def epoch(self) -> Epoch:
        settings = self._settings
        self._epoch += 1
        _compute(settings.seconds, settings.device_file)
        reached(CrashPoint.IN_EPOCH)
        if settings.misbehaviour and self._epoch == settings.at_epoch:
            self._misbehave(settings)
        distance = abs(math.log10(settings.learning_rate / 0.03)) + settings.dropout + settings.label_smoothing
        noise = random.Random(f"{self._recipe.seed}/{self._epoch}").uniform(-0.01, 0.01)
        acc = min(0.99, max(0.01, (1 - distance / 3) * (1 - math.exp(-self._epoch / 2)) + noise))
        explode = settings.misbehaviour == "explode" and self._epoch >= settings.at_epoch
        chance = settings.misbehaviour == "chance" and self._epoch >= settings.at_epoch
        acc = 0.1 if chance else acc
        foreign = settings.misbehaviour == "foreign-number" and self._epoch == settings.at_epoch
        return Epoch(
            number=self._epoch,
            train_loss=700.0 if explode else -math.log(acc),
            train_acc=_as_tensor(acc) if foreign else acc,  # type: ignore[arg-type]  # what is under test
            val_loss=-math.log(acc) + 0.1,
            val_acc=acc,
            lr=settings.learning_rate,
            seconds=settings.told_seconds,
            batch_losses=(700.0,) * 55 if explode else (2.31,) * 1000 if chance else (1.0, 0.5),
        )

    def _misbehave(self, settings: Hyperparameters) -> None:
        if settings.misbehaviour == "out-of-memory" and self._micro_batch <= settings.fits:
            return
        if settings.marker:
            if Path(settings.marker).exists():
                return
            Path(settings.marker).touch()
        match settings.misbehaviour:
            case "kill-on-second" if self._device != "cpu:1":
                return
            case "kill" | "kill-on-second":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                threading.Event().wait()
            case "out-of-memory":
                import torch

                raise torch.OutOfMemoryError("no room for 3 GiB")
            case "raise-differently":
                raise RuntimeError(f"process {os.getpid()} failed at {time.monotonic_ns()}")
            case error if error in ERRORS:
                raise ERRORS[error]

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self._epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._epoch = state["epoch"]

    def snapshot(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "classes": 10}


def _as_tensor(number: float) -> "torch.Tensor":
    import torch

    return torch.tensor(number)


def _compute(seconds: float, device_file: str) -> None:
    """Take so long, or longer on a device that has others to serve: it gives each a slice of its time in turn."""
    if not device_file:
        time.sleep(seconds)
        return
    with Path(device_file).open("ab") as stream:
        for _ in range(10):
            fcntl.flock(stream, fcntl.LOCK_EX)
            time.sleep(seconds / 10)
            fcntl.flock(stream, fcntl.LOCK_UN)
            time.sleep(0.001)  # else the same one has it again


@final
class CurveTrainer:
    hyperparameters: Sequence[type] = (Hyperparameters,)

    def check(self, recipe: Recipe, info: DataSetInfo, data_folder: Path) -> None:
        Hyperparameters(**recipe.params)

    def begin(self, recipe: Recipe, data: Data, device: str) -> Curve:
        return Curve(recipe, device)

    def restore(self, snapshot: Mapping[str, Any], device: str) -> Predictor:
        import torch

        def predict(images: Any) -> torch.Tensor:
            return torch.full((len(images), int(snapshot["classes"])), 1 / snapshot["classes"])

        return predict


trainer = CurveTrainer()
