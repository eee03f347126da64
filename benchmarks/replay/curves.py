"""Recorded learning curves: what they hold, and where they come from."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from orchestrator.record import Epoch, Metric

ROOT = Path(__file__).resolve().parents[2]
TASKSET = ROOT.parent / "shared" / "data" / "taskset" / "curves.npz"
RECORDED_HERE = ROOT / "benchmarks" / "curves" / "cifar100_cnn.npz"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurves:
    """The curves of one task: each of its configurations was trained once, to the end or until it diverged."""

    task: str
    metric: Metric
    epochs: int  # of a configuration that does not diverge
    curves: Sequence[Sequence[Epoch]]  # per configuration; a diverged one ends with the epoch that was not finite
    hyperparameters: Sequence[str]
    params: np.ndarray  # configurations × hyperparameters

    def diverged(self, configuration: int) -> bool:
        """Whether its training loss or validation loss became NaN or infinite."""
        last = self.curves[configuration][-1]
        return not (math.isfinite(last.val_loss) and math.isfinite(last.train_loss))

    def costs(self) -> np.ndarray:
        """The objective value of each configuration after full training, lower is better; infinite where it diverged."""
        sign = -1.0 if self.metric.direction == "maximize" else 1.0
        found = []
        for configuration, curve in enumerate(self.curves):
            best = None if self.diverged(configuration) else self.metric.best(curve)
            found.append(math.inf if best is None else sign * best.value)
        return np.array(found)


def tasks() -> list[str]:
    """The tasks whose curves are here: `taskset/0` to `taskset/5`, `cifar100/cosine`, `cifar100/warm-up-stable-decay`."""
    found = [f"taskset/{number}" for number in range(_taskset_tasks())] if TASKSET.is_file() else []
    if RECORDED_HERE.is_file():
        with np.load(RECORDED_HERE, allow_pickle=False) as arrays:
            found += [f"cifar100/{schedule}" for schedule in np.unique(arrays["schedule"])]
    return found


@functools.cache
def curves(task: str) -> LearningCurves:
    """The curves of a task that `tasks` names."""
    source, _, name = task.partition("/")
    return _taskset(task, int(name)) if source == "taskset" else _recorded_here(task, name)


def _taskset_tasks() -> int:
    with np.load(TASKSET, allow_pickle=False) as arrays:
        return len(arrays["tasks"])


def _taskset(task: str, number: int) -> LearningCurves:
    """TaskSet (Metz et al. 2020): recurrent text classifiers. What stands at point 0 was measured before training."""
    with np.load(TASKSET, allow_pickle=False) as arrays:
        val_loss, train_loss = arrays["valid_loss"][number, :, 1:], arrays["train_loss"][number, :, 1:]
        return LearningCurves(
            task=task,
            metric=Metric(name="val_loss", direction="minimize", rule="last"),
            epochs=val_loss.shape[1],
            curves=_epochs(val_loss, train_loss, np.full(val_loss.shape, math.nan), np.ones(len(val_loss))),
            hyperparameters=arrays["hyperparameters"].tolist(),
            params=arrays["params"][number],
        )


def _recorded_here(task: str, schedule: str) -> LearningCurves:
    """Runs of `benchmarks/record_curves.py` with one schedule, judged as the product judges."""
    with np.load(RECORDED_HERE, allow_pickle=False) as arrays:
        chosen = arrays["schedule"] == schedule
        val_loss, seconds = arrays["val_loss"][chosen], arrays["seconds"][chosen]
        return LearningCurves(
            task=task,
            metric=Metric(),
            epochs=val_loss.shape[1],
            curves=_epochs(val_loss, arrays["train_loss"][chosen], arrays["val_acc"][chosen], seconds / seconds.mean()),
            hyperparameters=arrays["hyperparameters"].tolist(),
            params=arrays["params"][chosen],
        )


def _epochs(val_loss: np.ndarray, train_loss: np.ndarray, val_acc: np.ndarray, lasting: np.ndarray) -> list[list[Epoch]]:
    """Arrays of configurations × epochs; `lasting` is the time that an epoch of each takes, in units of the task's mean."""
    found = []
    for losses, train_losses, accuracies, time in zip(
        val_loss.tolist(), train_loss.tolist(), val_acc.tolist(), lasting.tolist(), strict=True
    ):
        curve: list[Epoch] = []
        for number, loss in enumerate(losses, start=1):
            curve.append(
                Epoch(
                    number=number,
                    train_loss=train_losses[number - 1],
                    train_acc=math.nan,
                    val_loss=loss,
                    val_acc=accuracies[number - 1],
                    lr=math.nan,
                    seconds=time,
                )
            )
            if not (math.isfinite(loss) and math.isfinite(train_losses[number - 1])):
                break
        found.append(curve)
    return found
