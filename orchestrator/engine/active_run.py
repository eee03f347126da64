"""A run that has a job now, and what the engine's parts tell each other about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from orchestrator.jobs import Job
from orchestrator.record import Epoch, RunRecord
from orchestrator.storage.archive import RunArchive


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """How a run is to be trained: what does not belong to its record."""

    until_epoch: int
    measure: Literal["none", "test"] = "none"
    keep_last: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A run's record and epochs, after something about them has changed.

    `measured` says that the last of them was measured just now, or taken over from a checkpoint; `decide` that the run is at
    the end of its grant, so that the caller decides about it next. `notes` are lines for the user.
    """

    record: RunRecord
    epochs: Sequence[Epoch]
    measured: bool = False
    decide: bool = False
    notes: tuple[str, ...] = ()


@final
@dataclass(slots=True, kw_only=True, eq=False)
class ActiveRun:
    """A run that has a job. `worker` is None while the job waits for a worker other than `avoid`."""

    record: RunRecord
    folder: RunArchive
    assignment: Assignment
    epochs: list[Epoch]
    resume: bool
    worker: int | None = None
    avoid: int | None = None
    opened: bool = False  # whether the observers were told of it in this session
    hung: str = ""  # why its worker was killed
    suspended: bool = False  # what its record says when it is PAUSED

    def job(self, checkpoint_share: float) -> Job:
        """The job of the run's current attempt; `checkpoint_share` of its training time may go into checkpoints."""
        record, assignment = self.record, self.assignment
        return Job(
            run_id=record.run_id,
            attempt=record.attempt,
            recipe=record.recipe,
            metric=record.metric,
            until_epoch=assignment.until_epoch,
            folder=str(self.folder.path.resolve()),
            resume=self.resume,
            measure=assignment.measure,
            checkpoint_share=checkpoint_share,
            micro_batch=record.micro_batch,
            keep_last=assignment.keep_last,
        )

    def update(self, *notes: str) -> Update:
        """The run as it is now, after a change that is no new epoch."""
        return Update(record=self.record, epochs=self.epochs, notes=notes)

    def after_an_epoch(self, *notes: str) -> Update:
        """The run after its last epoch. A decision follows where its grant ends, and not before.

        So an attempt that begins again is not decided twice on the way to where the one before it had come.
        """
        decide = len(self.epochs) >= self.assignment.until_epoch
        return Update(record=self.record, epochs=self.epochs, measured=True, decide=decide, notes=notes)
