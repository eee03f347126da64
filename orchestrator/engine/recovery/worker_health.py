"""Which workers cannot be trusted any more, and when it is not the workers."""

from typing import final

from orchestrator.record import Failure, FailureKind
from orchestrator.worker.failures import is_device_error

# Different runs that fail on a worker, one after the other, before it is taken out of service. A run that kills whatever it is
# given to is tried elsewhere, and counts once on each.
_RUNS_BEFORE_RETIRING = 3

# Runs that end FAILED, one after the other and for the same reason, before a study is stopped. More of what some regions of a
# sound search space are full of; divergence is such a region's too, costs little, and is told to the sampler.
_RUNS_BEFORE_STOPPING = {
    FailureKind.CRASHED: 5,
    FailureKind.LOST: 5,
    FailureKind.HUNG: 5,
    FailureKind.OUT_OF_MEMORY: 20,
}


@final
class WorkerHealth:
    """Counts what succeeds and fails in one session."""

    def __init__(self) -> None:
        self._failing: dict[int, set[str]] = {}  # worker -> runs that failed on it since its last success
        self._measured: set[int] = set()  # workers that have trained an epoch
        self._last: Failure | None = None
        self._alike = 0  # runs in a row that ended for the reason of the last one

    def measured(self, worker: int) -> None:
        """A worker has trained an epoch."""
        self._measured.add(worker)

    def succeeded(self, worker: int) -> None:
        """A run was ended by what it was worth, not by a failure."""
        self._failing.pop(worker, None)
        self._last, self._alike = None, 0

    def failed(self, worker: int, run_id: str, failure: Failure) -> bool:
        """A run failed on a worker. Returns whether the worker is to be taken out of service.

        It is when three different runs in a row failed there while another worker gets on, or its device refuses.
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

    def given_up(self, failure: Failure) -> str:
        """A run ended FAILED. Returns why the study should stop instead of burning its other runs, or ""."""
        same = self._last is not None and (self._last.kind, self._last.error) == (failure.kind, failure.error)
        self._last, self._alike = failure, self._alike + 1 if same else 1
        if self._alike < _RUNS_BEFORE_STOPPING.get(failure.kind, self._alike + 1):
            return ""
        return f"{self._alike} runs in a row failed the same way ({failure.kind.value}: {failure.message})"
