"""Runs jobs in the conductor's own process, one after the other: for debugging, with breakpoints that work."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import final

from orchestrator.jobs import Event, Job
from orchestrator.worker import Runner


@final
class InProcess:
    """One worker, which works while `events` waits."""

    workers = 1

    def __init__(self, *, device: str, threads: int, data_folder: Path) -> None:
        self._runner = Runner(device=device, threads=threads, data_folder=data_folder)
        self._pending: deque[Event] = deque()

    def start(self, job: Job) -> None:
        """Begin the job at once."""
        self._pending.extend(self._runner.start(job))

    def grant(self, run_id: str, until_epoch: int) -> None:
        """Let the run train up to and including this epoch."""
        self._runner.grant(run_id, until_epoch)

    def stop(self, run_id: str, keep: bool = False) -> None:
        """End the run's job, keeping its checkpoint where asked."""
        self._pending.extend(self._runner.stop(run_id, keep=keep))

    def events(self, timeout: float) -> Sequence[Event]:  # noqa: ARG002 - there is nobody to wait for
        """What has happened; trains one epoch if nothing has."""
        if not self._pending and self._runner.can_step:
            self._pending.extend(self._runner.step())
        happened = tuple(self._pending)
        self._pending.clear()
        return happened

    def close(self) -> None:
        """Nothing runs between calls."""
