"""What an executor promises: where workers run, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from orchestrator.jobs import Event, Job

if TYPE_CHECKING:
    pass


# --------------------------------------------------------------------------------------------------------- executors


class Executor(Protocol):
    """Where workers run. All executors give the same events for the same jobs.

    A worker is a place with a number, filled anew when what fills it dies; that number is its own for the whole session.
    """

    @property
    def workers(self) -> int:
        """How many jobs can run at a time: those in service."""

    def start(self, job: Job, avoid: int | None = None) -> int | None:
        """Hand the job to a free worker, there must be one, and return its number.

        Not to `avoid`, unless that is the only one in service. None when `avoid` is the only free one: try again later.
        """

    def grant(self, run_id: str, until_epoch: int) -> None:
        """Let the run train up to and including this epoch."""

    def stop(self, run_id: str, keep: bool = False) -> None:
        """End the run's job. With `keep` its checkpoint is written first, and `Paused` follows."""

    def replace(self, worker: int) -> None:
        """End what fills this place, whatever it does, and fill it anew. A job that it had is reported by `WorkerLost`."""

    def retire(self, worker: int) -> None:
        """End what fills this place, as `replace` does, and take it out of service."""

    def events(self, timeout: float) -> Sequence[Event]:
        """What has happened since the last call; waits up to `timeout` seconds for the first."""

    def close(self) -> None:
        """End all workers at once, whatever they do. May be called twice."""
