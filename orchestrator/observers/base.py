"""What an observer promises: it copies what is recorded, and cannot disturb a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from orchestrator.record import Epoch, RunRecord


class Observer(Protocol):
    """Copies what is recorded. Never read back, never slower than a queue, unable to disturb a run.

    A session begins with the replay of what is recorded. Calls come in the order of the record. A run may be opened again (a new
    attempt, or a rebuild): `epochs` is then all that is recorded of it so far, and what follows continues from there. An observer
    in a process of its own may raise, which is logged there; the conductor's side never does.
    """

    def opened(self, record: RunRecord, epochs: Sequence[Epoch]) -> None:
        """A job for this run was started."""

    def measured(self, record: RunRecord, epoch: Epoch) -> None:
        """An epoch was recorded."""

    def closed(self, record: RunRecord) -> None:
        """The run's final state, or PAUSED, was recorded."""

    def finish(self, timeout: float) -> str | None:
        """Nothing more will come: complete the copy, within `timeout` seconds. Returns a warning if it could not."""
