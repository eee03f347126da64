"""What an executor promises: where workers run, and which events come from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from orchestrator.jobs import Event, Job


class Executor(Protocol):
    """Where workers run. All executors give the same events for the same jobs.

    A worker fills a numbered slot, which is refilled when the worker dies. The slot keeps its number for the whole session.
    """

    @property
    def workers(self) -> int:
        """How many jobs can run at a time: the slots in service."""

    def start(self, job: Job, avoid: int | None = None) -> int | None:
        """Hand the job to a free worker, there must be one, and return its slot's number.

        Not to `avoid`, unless that is the only one in service. None when `avoid` is the only free one: try again later.
        """

    def grant(self, run_id: str, until_epoch: int) -> None:
        """Let the run train up to and including this epoch."""

    def stop(self, run_id: str, keep: bool = False) -> None:
        """End the run's job. With `keep` its checkpoint is written first, and `Paused` follows."""

    def replace(self, worker: int) -> None:
        """End the worker in this slot, whatever it does, and refill the slot. A job that it had is reported by `WorkerLost`."""

    def retire(self, worker: int) -> None:
        """End the worker in this slot, as `replace` does, and take the slot out of service."""

    def events(self, timeout: float) -> Sequence[Event]:
        """What has happened since the last call; waits up to `timeout` seconds for the first."""

    def close(self) -> None:
        """End all workers at once, whatever they do. May be called twice."""
