"""Runs jobs in the conductor's own process, one after the other: for debugging, with breakpoints that work."""

import functools
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import final

from orchestrator.jobs import Event, Failed, Finished, Job, Paused, WorkerLost
from orchestrator.worker.runner import Runner


@final
class InProcess:
    """One worker, which works while `events` waits."""

    def __init__(self, *, device: str, threads: int, data_folder: Path) -> None:
        self._make = functools.partial(Runner, device=device, threads=threads, data_folder=data_folder)
        self._runner = self._make()
        self._pending: deque[Event] = deque()
        self._job: Job | None = None
        self.workers = 1

    def start(self, job: Job, avoid: int | None = None) -> int:  # noqa: ARG002 - there is no other
        """Begin the job at once."""
        self._job = job
        self._pending.extend(self._runner.start(job))
        return 0

    def grant(self, run_id: str, until_epoch: int) -> None:
        """Let the run train up to and including this epoch."""
        self._runner.grant(run_id, until_epoch)

    def stop(self, run_id: str, keep: bool = False) -> None:
        """End the run's job, keeping its checkpoint where asked."""
        if not keep:
            self._job = None
        self._pending.extend(self._runner.stop(run_id, keep=keep))

    def replace(self, worker: int) -> None:
        """Drop all that was loaded. A job is always between two epochs here."""
        self._runner = self._make()
        job, self._job = self._job, None
        if job is not None:
            message = f"worker {worker} was replaced"
            self._pending.append(WorkerLost(worker=worker, message=message, run_id=job.run_id, attempt=job.attempt))

    def retire(self, worker: int) -> None:
        """Take the only slot out of service."""
        self.replace(worker)
        self.workers = 0

    def events(self, timeout: float) -> Sequence[Event]:  # noqa: ARG002 - nothing happens meanwhile
        """What has happened; trains one epoch if nothing has."""
        if not self._pending and self._runner.can_step:
            self._pending.extend(self._runner.step())
        happened = tuple(self._pending)
        self._pending.clear()
        if any(isinstance(event, Finished | Failed | Paused) for event in happened):
            self._job = None
        return happened

    def close(self) -> None:
        """Nothing runs between calls."""
