"""The runs that have a job now: sent to a worker, or waiting for one."""

from typing import final

from orchestrator.engine.active_run import ActiveRun
from orchestrator.engine.recovery.recovery import Recovery
from orchestrator.executors.base import Executor
from orchestrator.jobs import Event


@final
class ActiveRuns:
    """Sends jobs to workers. A job that must not go to the worker that it failed on waits until another one is free."""

    def __init__(self, executor: Executor, recovery: Recovery, checkpoint_share: float) -> None:
        self._executor = executor
        self._recovery = recovery
        self._checkpoint_share = checkpoint_share
        self._runs: dict[str, ActiveRun] = {}
        self._waiting: list[ActiveRun] = []

    def __len__(self) -> int:
        return len(self._runs)

    def __getitem__(self, run_id: str) -> ActiveRun:
        return self._runs[run_id]

    @property
    def free(self) -> int:
        """Jobs that could be started now. None while as many wait for another worker as there are workers."""
        waiting, workers = len(self._waiting), self._executor.workers
        return max(workers - (len(self._runs) - waiting), 0) if waiting < workers else 0

    def all(self) -> tuple[ActiveRun, ...]:
        """All of them, whatever is removed meanwhile."""
        return tuple(self._runs.values())

    def of(self, event: Event) -> ActiveRun | None:
        """The run of an event; None for one of an earlier attempt, or of a run that was ended meanwhile."""
        active = self._runs.get(event.run_id)
        return active if active is not None and event.attempt == active.record.attempt else None

    def waits(self, active: ActiveRun) -> bool:
        """Whether the run's job waits for a worker."""
        return active in self._waiting

    def begin(self, active: ActiveRun) -> None:
        """Begin an attempt: from now on no worker of an earlier attempt can replace the run's checkpoints."""
        self._runs[active.record.run_id] = active
        active.folder.begin_attempt(active.record.attempt)
        active.worker = None
        self._recovery.job_ended(active.record.run_id)
        self._waiting.append(active)
        self._send(active)

    def send_waiting(self) -> None:
        """Send jobs that wait, as far as there are workers for them."""
        for active in tuple(self._waiting):
            self._send(active)

    def remove(self, active: ActiveRun) -> None:
        """Forget a run that has ended."""
        del self._runs[active.record.run_id]
        if active in self._waiting:
            self._waiting.remove(active)
        self._recovery.job_ended(active.record.run_id)

    def _send(self, active: ActiveRun) -> None:
        if len(self._runs) - len(self._waiting) >= self._executor.workers:
            return
        active.worker = self._executor.start(active.job(self._checkpoint_share), active.avoid)
        if active.worker is not None:
            self._waiting.remove(active)
            self._recovery.sent(active.record.run_id)
