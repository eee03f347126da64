"""Which workers are unreliable, and when the failures are not the workers' fault."""

from typing import final

from orchestrator.record import Failure, FailureKind
from orchestrator.worker.failures import is_device_error

# Different runs that fail on a worker, one after the other, before it is retired. A run that kills every worker is retried on
# another one, and counts once on each.
_RUNS_BEFORE_RETIRING = 3

# Runs that end FAILED, one after the other and for the same reason, before the session ends. More than whole regions of a sound
# search space cause; divergence has such regions too, costs little, and the sampler is told that it is infeasible.
_RUNS_BEFORE_ABORTING = {
    FailureKind.CRASHED: 5,
    FailureKind.LOST: 5,
    FailureKind.HUNG: 5,
    FailureKind.OUT_OF_MEMORY: 20,
}


@final
class WorkerHealth:
    """Counts successes and failures in one session."""

    def __init__(self) -> None:
        self._failing: dict[int, set[str]] = {}  # worker -> runs that failed on it since its last success
        self._measured: set[int] = set()  # workers that have trained an epoch
        self._last: Failure | None = None
        self._repeats = 0  # runs in a row that failed for the same reason as the last one

    def measured(self, worker: int) -> None:
        """Note that a worker has trained an epoch."""
        self._measured.add(worker)

    def succeeded(self, worker: int) -> None:
        """Note that a run ended without a failure."""
        self._failing.pop(worker, None)
        self._last, self._repeats = None, 0

    def failed(self, worker: int, run_id: str, failure: Failure) -> bool:
        """Note that a run failed on a worker. Returns whether the worker should be retired.

        It should when three different runs in a row failed there while another worker succeeds, or its device reports errors.
        """
        if failure.kind is FailureKind.DIVERGED:
            return False
        runs = self._failing.setdefault(worker, set())
        runs.add(run_id)
        if len(runs) < _RUNS_BEFORE_RETIRING:
            return False
        retire = is_device_error(failure) or bool(self._measured - set(self._failing))
        if retire:
            self._measured.discard(worker)
            del self._failing[worker]
        return retire

    def repeated(self, failure: Failure) -> str:
        """Note that a run ended FAILED. Returns why the remaining runs would likely fail the same way, or ""."""
        same = self._last is not None and (self._last.kind, self._last.error) == (failure.kind, failure.error)
        self._last, self._repeats = failure, self._repeats + 1 if same else 1
        if self._repeats < _RUNS_BEFORE_ABORTING.get(failure.kind, self._repeats + 1):
            return ""
        return f"{self._repeats} runs in a row failed the same way ({failure.kind.value}: {failure.message})"
