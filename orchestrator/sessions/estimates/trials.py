"""Time and disk that a study will need, estimated from measured runs."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from orchestrator.record import Kind, RunRecord, Status
from orchestrator.support.durations import format_duration
from orchestrator.support.wording import in_bytes

_ENOUGH_RUNS = 5  # to tell how early trials are pruned


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Between what and what a quantity is expected: the tenth and the ninetieth percentile of what was measured, or wider."""

    low: float
    high: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Seconds and bytes that trials will need; None where nothing was measured that says so."""

    runs: int  # that it is measured on
    seconds: Range | None
    bytes: Range | None

    def time(self) -> str:
        """For messages."""
        if self.seconds is None:
            return "unknown: no run of this trainer on this data set is in the runs folder yet"
        return f"{format_duration(self.seconds.low)} to {format_duration(self.seconds.high)}, from {self.runs} measured runs"

    def disk(self) -> str:
        """For messages."""
        if self.bytes is None:
            return "unknown: no run of this trainer on this data set is in the runs folder yet"
        return f"{in_bytes(self.bytes.low)} to {in_bytes(self.bytes.high)}, from {self.runs} measured runs"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes that a measured run occupies: its record and epochs, and its checkpoint to predict with, 0 where it was not kept."""

    record: int
    checkpoint: int


def comparable_runs(records: Iterable[RunRecord], trainer: str, dataset: str) -> list[RunRecord]:
    """The runs that say how long an epoch takes: of this trainer on this data set."""
    return [
        record for record in records if record.epochs and (record.recipe.trainer, record.recipe.dataset) == (trainer, dataset)
    ]


def estimate(
    measured: Sequence[RunRecord],
    sizes: Sequence[Sizes],
    *,
    trials: int,
    epochs: int,
    fewest_epochs: int,
    at_a_time: int,
    devices: int,
    checkpoints: int,
) -> Estimate:
    """What `trials` further trials of at most `epochs` epochs will need.

    A pruned trial trains `fewest_epochs` at least; where enough trials of this length were measured, their mean counts instead.
    `at_a_time` trials are trained at a time on so many `devices`: workers that share a device may gain nothing. `checkpoints`
    are kept at the end; one more per worker is written aside while it trains.
    """
    if not measured:
        return Estimate(runs=0, seconds=None, bytes=None)
    pace = _range([record.seconds / record.epochs for record in measured])
    ended = [
        record.epochs
        for record in measured
        if record.kind is Kind.TRIAL and record.recipe.epochs == epochs and record.status in (Status.COMPLETE, Status.PRUNED)
    ]
    length = Range(low=fewest_epochs, high=epochs)
    if len(ended) >= _ENOUGH_RUNS:
        mean, error = statistics.mean(ended), statistics.stdev(ended) / len(ended) ** 0.5
        length = Range(low=max(mean - 2 * error, fewest_epochs), high=min(mean + 2 * error, epochs))
    seconds = Range(
        low=trials * length.low * pace.low / min(at_a_time, max(trials, 1)),
        high=trials * length.high * pace.high / min(devices, max(trials, 1)),
    )
    kept = [size.checkpoint for size in sizes if size.checkpoint]
    if not kept:
        return Estimate(runs=len(measured), seconds=seconds, bytes=None)
    records = _range([size.record for size in sizes])
    return Estimate(
        runs=len(measured),
        seconds=seconds,
        bytes=Range(
            low=trials * records.low + min(checkpoints, trials) * min(kept),
            # the state to resume from also holds the optimiser's moments: with Adam it is three times the weights
            high=trials * records.high + (checkpoints + 2 * 3 * at_a_time) * max(kept),
        ),
    )


def _range(values: Sequence[float]) -> Range:
    ordered = sorted(values)
    last = len(ordered) - 1
    return Range(low=ordered[round(0.1 * last)], high=ordered[round(0.9 * last)])
