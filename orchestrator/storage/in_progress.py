"""The runs that are trained now, as their records and epochs tell, and the time that a study still takes."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, final

from orchestrator.record import Epoch, RunRecord, Status
from orchestrator.storage.progress import seconds_left
from orchestrator.support.durations import format_duration

_MEASURED = 5  # epochs, the last ones, of which the median is how long one takes


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunInProgress:
    """A run that is trained now."""

    run: str
    epoch: int  # the one that is trained now
    epochs: int  # of the whole run
    metric: str
    value: float | None  # after the last epoch
    epoch_seconds: float | None  # the median of the last epochs
    seconds: float  # of training, so far
    begun: float | None  # when its first attempt was, in seconds since 1970-01-01 UTC

    def plain(self) -> dict[str, Any]:
        """For --format json."""
        return {name: getattr(self, name) for name in self.__slots__}


def in_progress(record: RunRecord, epochs: Sequence[Epoch]) -> RunInProgress:
    """What a running run's record and epochs tell."""
    last = epochs[-_MEASURED:]
    value = record.metric.of(epochs[-1]) if epochs else None
    return RunInProgress(
        run=record.run_id,
        epoch=min(len(epochs) + 1, record.recipe.epochs),
        epochs=record.recipe.epochs,
        metric=record.metric.name,
        value=value if value is not None and math.isfinite(value) else None,
        epoch_seconds=statistics.median(epoch.seconds for epoch in last) if last else None,
        seconds=sum(epoch.seconds for epoch in epochs),
        begun=record.provenance.started or None,
    )


def search_seconds_left(trials: Sequence[RunRecord], asked: int, running: Sequence[RunInProgress]) -> float | None:
    """Seconds until a study has its trials, at the mean of those that it has; None where there is none yet, or none is left.

    As many are trained at a time as are now. What those have trained already is taken off.
    """
    costs = [record.seconds for record in trials if record.seconds and (record.status.finished or record.status is Status.PAUSED)]
    left, at_a_time = asked - sum(record.status.finished for record in trials), max(len(running), 1)
    seconds = seconds_left(costs, left=left, at_a_time=at_a_time)
    return max(seconds - sum(run.seconds for run in running) / min(at_a_time, left), 0.0) if seconds is not None else None


def run_seconds_left(run: RunInProgress) -> float | None:
    """Seconds until the run has all its epochs; None before the first one."""
    return None if run.epoch_seconds is None else run.epoch_seconds * (run.epochs - run.epoch + 1)


def lines(active: Sequence[Mapping[str, Any]], seconds_left: float | None) -> list[str]:
    """The runs, as `plain` gives them, and the time left, for a person."""
    found = []
    for run in active:
        value = f", {run['metric']} {run['value']:.4f}" if run["value"] is not None else ""
        pace = f", {run['epoch_seconds']:.1f} s an epoch" if run["epoch_seconds"] is not None else ""
        begun = f", begun {datetime.fromtimestamp(run['begun']):%Y-%m-%d %H:%M:%S}" if run["begun"] is not None else ""
        found.append(f"{run['run']} is in epoch {run['epoch']} of {run['epochs']}{value}{pace}{begun}")
    return [*found, *([f"about {format_duration(max(seconds_left, 1))} left"] if seconds_left is not None else [])]
