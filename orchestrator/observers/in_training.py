"""What is trained at this moment, for the line that breaks a long silence."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from orchestrator.record import Epoch, RunRecord
from orchestrator.storage.run_folder import run_name
from orchestrator.support.clock import Clock
from orchestrator.support.durations import format_duration

MEASURED = 5  # epochs, the last ones, of which the median is how long one takes
_SHOWN = 4  # runs in one line


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    record: RunRecord
    epochs: int
    value: float | None  # of the metric, after the last epoch
    seconds: tuple[float, ...]  # of the last epochs
    since: float  # when the epoch that is trained now began, on the clock's steady scale


@final
class InTraining:
    """The Observer that knows which runs have a job now, and how far they are."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._runs: dict[str, _Run] = {}

    def opened(self, record: RunRecord, epochs: Sequence[Epoch]) -> None:
        """A job for this run was started."""
        self._runs[record.run_id] = _Run(
            record=record,
            epochs=len(epochs),
            value=record.metric.of(epochs[-1]) if epochs else None,
            seconds=tuple(epoch.seconds for epoch in epochs[-MEASURED:]),
            since=self._clock.elapsed(),
        )

    def measured(self, record: RunRecord, epoch: Epoch) -> None:
        """An epoch was recorded."""
        before = self._runs.get(record.run_id)
        if before is not None:
            self._runs[record.run_id] = replace(
                before,
                epochs=epoch.number,
                value=record.metric.of(epoch),
                seconds=(*before.seconds, epoch.seconds)[-MEASURED:],
                since=self._clock.elapsed(),
            )

    def closed(self, record: RunRecord) -> None:
        """The run has no job any more."""
        self._runs.pop(record.run_id, None)

    def finish(self, timeout: float) -> str | None:  # noqa: ARG002 - nothing is left to do
        """Nothing is left to do."""
        return None

    def text(self) -> str:
        """The runs in one line, `trial 0004 in epoch 4 of 15 for 60 s  val_acc .4312  95.2 s an epoch`."""
        runs = list(self._runs.values())
        parts = [self._shown(run) for run in runs[:_SHOWN]]
        more = [f"and {len(runs) - _SHOWN} more"] if len(runs) > _SHOWN else []
        return "; ".join([*parts, *more]) or "waiting for workers, which load libraries and data"

    def _shown(self, run: _Run) -> str:
        record = run.record
        epochs = record.recipe.epochs
        now = f"{record.kind.value} {run_name(record.run_id)} in epoch {min(run.epochs + 1, epochs)} of {epochs}"
        now += f" for {format_duration(self._clock.elapsed() - run.since)}"
        value = [f"{record.metric.name} {run.value:.4f}".replace(" 0.", " .")] if run.value is not None else []
        pace = [f"{statistics.median(run.seconds):.1f} s an epoch"] if run.seconds else []
        return "  ".join([now, *value, *pace])
