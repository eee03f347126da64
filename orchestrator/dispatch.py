"""Between conductor and executor: jobs go out, events come back and become records; lost jobs are tried again.

Everything that is heard is recorded first, then told to the observers, then handed to the caller, who decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

from orchestrator.contracts import Clock, Executor, Observer, RunArchive, StudyArchive
from orchestrator.jobs import Began, Event, Failed, Finished, Job, Measured, Paused, Saved, WorkerLost
from orchestrator.record import Checkpoint, Epoch, Failure, FailureKind, RunRecord, Status

RETRIES = 2  # of a job whose worker died, each from the last checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """How a run is to be carried out: what does not belong to its record."""

    until_epoch: int
    measure: Literal["none", "test"] = "none"
    keep_last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A run's record and epochs, after something about them has changed.

    `decide` says that the run stands behind these epochs and hears a decision next. `notes` are worth a line to the user.
    """

    record: RunRecord
    epochs: Sequence[Epoch]
    decide: bool = False
    notes: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Active:
    """A run that has a job now."""

    record: RunRecord
    folder: RunArchive
    assignment: Assignment
    epochs: list[Epoch]


@final
class Dispatch:
    """Keeps the records of the runs that have jobs. `checkpoint_share` of the training time may go into checkpoints."""

    def __init__(
        self,
        *,
        folder: StudyArchive,
        executor: Executor,
        observers: Sequence[Observer],
        clock: Clock,
        checkpoint_share: float = 0.02,
    ) -> None:
        self._study = folder
        self._executor = executor
        self._observers = observers
        self._clock = clock
        self._checkpoint_share = checkpoint_share
        self._active: dict[str, _Active] = {}

    @property
    def free(self) -> int:
        """Jobs that could be started now."""
        return self._executor.workers - len(self._active)

    @property
    def active(self) -> int:
        """Runs that have a job now."""
        return len(self._active)

    def start(self, record: RunRecord, assignment: Assignment) -> RunRecord:
        """Start a run, or take one up again: whatever its folder holds is continued. Returns its record, now RUNNING."""
        folder = self._study.folder(record)
        again = folder.begun()
        epochs = folder.epochs() if again else []
        attempt = record.attempt + 1 if again else 1
        record = summed_up(replace(record, status=Status.RUNNING, failure=None, attempt=attempt), epochs)
        folder.write(record)
        active = _Active(record=record, folder=folder, assignment=assignment, epochs=epochs)
        self._active[record.run_id] = active
        self._send(active, resume=again)
        return record

    def grant(self, run_id: str, until_epoch: int) -> None:
        """Let a run train on."""
        active = self._active[run_id]
        active.assignment = replace(active.assignment, until_epoch=until_epoch)
        self._executor.grant(run_id, until_epoch)

    def prune(self, run_id: str) -> Update:
        """End a run that is not worth more epochs."""
        self._executor.stop(run_id)
        return self._close(self._active[run_id], Status.PRUNED)

    def pause(self, run_id: str) -> None:
        """Stop a run with its checkpoint kept; an update says when it is PAUSED."""
        self._executor.stop(run_id, keep=True)

    def wait(self, timeout: float) -> Iterator[Update]:
        """What has changed, one by one: the caller acts on each before the next event is taken, however many come together.

        Waits up to `timeout` seconds for the first. Raises DiskError.
        """
        for event in self._executor.events(timeout):
            update = self._hear(event)
            if update is not None:
                yield update

    def _hear(self, event: Event) -> Update | None:
        active = self._active.get(event.run_id)
        if active is None or event.attempt != active.record.attempt:
            return None  # of an earlier attempt, or of a run that was ended meanwhile
        match event:
            case Began():
                return self._began(active, event)
            case Measured():
                return self._measured(active, event)
            case Saved():
                active.record = replace(active.record, last=Checkpoint(epoch=event.epoch, sha256=event.sha256))
                active.folder.write(active.record)
                return None
            case Paused():
                return self._close(active, Status.PAUSED)
            case Finished():
                best = Checkpoint(epoch=event.best_epoch, sha256=event.best_sha256)
                active.record = replace(active.record, best_checkpoint=best, test=event.test)
                return self._close(active, Status.COMPLETE)
            case Failed():
                return self._close(active, Status.FAILED, event.failure)
            case WorkerLost():
                return self._lost(active, event)

    def _began(self, active: _Active, event: Began) -> Update:
        facts = event.facts
        provenance = replace(
            active.record.provenance,
            host=facts.host,
            device=facts.device,
            threads=facts.threads,
            versions=facts.versions,
            data_digest=facts.data_digest,
        )
        active.epochs = list(event.epochs)
        active.folder.keep_epochs(active.epochs)
        active.record = summed_up(replace(active.record, provenance=provenance), active.epochs)
        active.folder.write(active.record)
        for observer in self._observers:
            observer.opened(active.record, active.epochs)
        notes = (f"{active.record.run_id}: {event.note}",) if event.note else ()
        return Update(record=active.record, epochs=active.epochs, decide=bool(active.epochs), notes=notes)

    def _measured(self, active: _Active, event: Measured) -> Update:
        active.folder.append(event.epoch)
        active.epochs.append(event.epoch)
        active.record = summed_up(active.record, active.epochs)
        for observer in self._observers:
            observer.measured(active.record, event.epoch)
        return Update(record=active.record, epochs=active.epochs, decide=True)

    def _lost(self, active: _Active, event: WorkerLost) -> Update:
        lost = active.record.lost + 1
        if lost > RETRIES:
            failure = Failure(kind=FailureKind.LOST, message=f"{event.message}; given up after {lost} attempts")
            active.record = replace(active.record, lost=lost)
            return self._close(active, Status.FAILED, failure)
        active.record = replace(active.record, lost=lost, attempt=active.record.attempt + 1)
        active.folder.write(active.record)
        self._send(active, resume=True)
        note = f"{active.record.run_id}: {event.message}; retry {lost} of {RETRIES}"
        return Update(record=active.record, epochs=active.epochs, notes=(note,))

    def _send(self, active: _Active, *, resume: bool) -> None:
        record, assignment = active.record, active.assignment
        self._executor.start(
            Job(
                run_id=record.run_id,
                attempt=record.attempt,
                recipe=record.recipe,
                metric=record.metric,
                until_epoch=assignment.until_epoch,
                folder=str(active.folder.path.resolve()),
                resume=resume,
                measure=assignment.measure,
                checkpoint_share=self._checkpoint_share,
                keep_last=assignment.keep_last,
            )
        )

    def _close(self, active: _Active, status: Status, failure: Failure | None = None) -> Update:
        del self._active[active.record.run_id]
        provenance = replace(active.record.provenance, finished=self._clock.now())
        active.record = replace(active.record, status=status, failure=failure, provenance=provenance)
        active.folder.write(active.record)
        for observer in self._observers:
            observer.closed(active.record)
        return Update(record=active.record, epochs=active.epochs)


def summed_up(record: RunRecord, epochs: Sequence[Epoch]) -> RunRecord:
    """The record with what its epochs come to: how many, how long, and what they are worth."""
    seconds = sum(epoch.seconds for epoch in epochs)
    return replace(record, best=record.metric.best(epochs), epochs=len(epochs), seconds=seconds)
