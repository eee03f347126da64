"""What the engine needs of the storage: protocols that run folders and a simulation's memory implement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from orchestrator.record import Epoch, Kind, RunRecord


class RunArchive(Protocol):
    """What is kept of one run: a folder (`run_folder.RunFolder`), or the memory of a simulation."""

    @property
    def path(self) -> Path:
        """The folder that workers are told to write the run's checkpoints to."""

    def has_record(self) -> bool:
        """Whether there is a record."""

    def write(self, record: RunRecord) -> None:
        """Replace the record. Raises DiskError."""

    def append(self, epoch: Epoch) -> None:
        """Add one epoch. Raises DiskError."""

    def epochs(self) -> list[Epoch]:
        """The recorded epochs, 1, 2, 3, … Raises BadData."""

    def replace_epochs(self, epochs: Sequence[Epoch]) -> None:
        """Replace the recorded epochs by these. Raises DiskError."""

    def begin_attempt(self, number: int) -> None:
        """Let the worker of this attempt, and no other one, replace the run's checkpoints from now on. Raises DiskError."""

    def end_attempts(self) -> None:
        """Let no worker replace them. Raises DiskError."""

    @property
    def resumable(self) -> bool:
        """Whether there is a checkpoint to resume from."""

    def delete_checkpoints(self, *, last: bool = True, best: bool = True) -> None:
        """Remove checkpoints that are no longer needed. Raises DiskError."""


class StudyArchive(Protocol):
    """What is kept of a study's runs: what a conductor writes, and resumes from."""

    def run_id(self, kind: Kind, name: str) -> str:
        """How the run of this kind and name is called everywhere."""

    def folder(self, record: RunRecord) -> RunArchive:
        """What is kept of the run that this record is of."""

    def runs(self, *kinds: Kind) -> Sequence[RunRecord]:
        """The records of all runs of these kinds, in the order of their names. Raises BadData."""
