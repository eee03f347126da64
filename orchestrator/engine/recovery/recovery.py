"""What happens after a failure: to the run, to the worker that it failed on, and to the session."""

from dataclasses import dataclass, replace
from typing import final

from orchestrator.engine.recovery.retry_policy import RETRIES, RetryDecision, retry_decision, study_error
from orchestrator.engine.recovery.watchdog import HangTimeouts, Watchdog
from orchestrator.engine.recovery.worker_health import WorkerHealth
from orchestrator.errors import OrchestrateError, Unavailable
from orchestrator.executors.base import Executor
from orchestrator.record import Failure, FailureKind, RunRecord
from orchestrator.support.clock import Clock
from orchestrator.worker.failures import is_device_error


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """What to do with a run that failed: retry it, or record it as FAILED with `failure`. `notes` are for the user."""

    retry: bool
    failure: Failure
    notes: tuple[str, ...]


@final
class Recovery:
    """Judges failures, and retires or replaces the workers that they happen on."""

    def __init__(self, executor: Executor, clock: Clock, timeouts: HangTimeouts) -> None:
        self._executor = executor
        self._watchdog = Watchdog(clock, timeouts)
        self._health = WorkerHealth()

    def sent(self, run_id: str) -> None:
        """A run's job was sent to a worker: from now on it may hang."""
        self._watchdog.begin(run_id)

    def progress(self, run_id: str, worker: int | None, seconds: float | None = None) -> None:
        """The worker has reported something: an epoch that took so many `seconds`, or anything else."""
        self._watchdog.progress(run_id, seconds)
        if seconds is not None and worker is not None:
            self._health.measured(worker)

    def job_ended(self, run_id: str) -> None:
        """A run has no job, or waits for another worker: it cannot hang."""
        self._watchdog.end(run_id)

    def hung(self) -> list[tuple[str, str]]:
        """The runs that seem to hang, each with the reason."""
        return self._watchdog.overdue()

    def failed(self, record: RunRecord, worker: int | None, failure: Failure) -> Consequence:
        """Judge a failure of a run on a worker, by its kind and the run's earlier ones.

        Raises DiskError, BadData or MissingInput for a failure that concerns every run, Unavailable when no worker is left.
        """
        setbacks = record.setbacks
        decision = retry_decision(failure, setbacks)
        if decision is RetryDecision.ABORT:
            raise study_error(record.run_id, failure)
        notes = self._judge(worker, record.run_id, failure, decision)
        if not self._executor.workers:
            raise Unavailable(f"{notes[-1]}. No worker is left. Fix the cause, then run the same command to resume")
        if decision is RetryDecision.RETRY:
            retry = f"{record.run_id}: {failure.kind.value}: {failure.message}; retry {len(setbacks) + 1} of {RETRIES}"
            return Consequence(retry=True, failure=failure, notes=(*notes, retry))
        if setbacks:
            failure = replace(failure, message=f"{failure.message}; failed after {len(setbacks) + 1} attempts")
        return Consequence(retry=False, failure=failure, notes=notes)

    def ended(self, worker: int | None, failure: Failure | None) -> None:
        """A run has ended. Raises OrchestrateError when so many failed the same way that the others likely would, too."""
        if failure is None:
            if worker is not None:
                self._health.succeeded(worker)
        elif why := self._health.repeated(failure):
            raise OrchestrateError(
                f"{why}. Stopped: the remaining trials would likely fail the same way. "
                "Fix the cause, then run the same command to resume"
            )

    def _judge(self, worker: int | None, run_id: str, failure: Failure, decision: RetryDecision) -> tuple[str, ...]:
        """Replace or retire the worker on which a run failed. Returns what the user is told about it."""
        if worker is None:
            return ()
        if self._health.failed(worker, run_id, failure):
            self._executor.retire(worker)
            return (f"worker {worker} is retired: several runs in a row failed there ({failure.kind.value}: {failure.message})",)
        # The state of a process after a crash is unknown; after a device error nothing works in it.
        if is_device_error(failure) or (failure.kind is FailureKind.CRASHED and decision is RetryDecision.RETRY):
            self._executor.replace(worker)
        return ()
