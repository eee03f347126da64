"""Writes every change of a run to the archive first, then tells the observers: so no copy knows more than the records."""

from collections.abc import Sequence
from dataclasses import replace
from typing import final

from orchestrator.engine.active_run import ActiveRun, Assignment, Update
from orchestrator.jobs import Began
from orchestrator.observers.base import Observer
from orchestrator.record import Checkpoint, Epoch, Failure, RunRecord, Status
from orchestrator.storage.archive import StudyArchive
from orchestrator.support.clock import Clock
from orchestrator.support.fault_injection import CrashPoint, reached


@final
class Recorder:
    """Keeps the records of the runs of one study. Every method may raise DiskError."""

    def __init__(self, archive: StudyArchive, observers: Sequence[Observer], clock: Clock) -> None:
        self._archive = archive
        self._observers = observers
        self._clock = clock

    def start(self, record: RunRecord, assignment: Assignment) -> ActiveRun:
        """Record a run as RUNNING, before its job is sent. Whatever its folder has is resumed."""
        folder = self._archive.folder(record)
        resume = folder.has_record()
        epochs = folder.epochs() if resume else []
        attempt = record.attempt + 1 if resume else 1
        record = replace(record, status=Status.RUNNING, suspended=False, failure=None, attempt=attempt).with_totals(epochs)
        folder.write(record)
        return ActiveRun(record=record, folder=folder, assignment=assignment, epochs=epochs, resume=resume)

    def began(self, active: ActiveRun, event: Began) -> None:
        """A worker has begun the run's attempt, with the epochs of the checkpoint that it resumed from."""
        facts = event.facts
        provenance = replace(
            active.record.provenance,
            host=facts.host,
            device=facts.device,
            threads=facts.threads,
            versions=facts.versions,
            data_digest=facts.data_digest,
            classes_digest=facts.classes_digest,
            precision=facts.precision,
            validation_images=facts.validation_images,
            skipped_images=facts.skipped_images,
            switches=facts.switches,
        )
        active.epochs = list(event.epochs)
        if active.resume:  # else nothing was recorded that could have to be dropped
            active.folder.replace_epochs(active.epochs)
        # Written with the run's next change: a job that is begun again says it again.
        active.record = replace(active.record, provenance=provenance).with_totals(active.epochs)
        active.opened = True
        for observer in self._observers:
            observer.opened(active.record, active.epochs)

    def reduced(self, active: ActiveRun, micro_batch: int) -> None:
        """The whole batch did not fit into memory: smaller parts pass through the model."""
        active.record = replace(active.record, micro_batch=micro_batch)
        active.folder.write(active.record)

    def saved(self, active: ActiveRun, checkpoint: Checkpoint) -> None:
        """A worker has written a checkpoint to resume from."""
        active.record = replace(active.record, last=checkpoint)
        active.folder.write(active.record)

    def measured(self, active: ActiveRun, epoch: Epoch) -> None:
        """A worker has measured an epoch."""
        active.folder.append(epoch)
        active.epochs.append(epoch)
        active.record = active.record.with_totals(active.epochs)
        reached(CrashPoint.EPOCH_RECORDED)
        for observer in self._observers:
            observer.measured(active.record, epoch)
        reached(CrashPoint.EPOCH_HEARD)

    def retried(self, active: ActiveRun, failure: Failure) -> None:
        """The run failed and gets another attempt, which resumes from its last checkpoint."""
        active.record = replace(active.record, setbacks=(*active.record.setbacks, failure), attempt=active.record.attempt + 1)
        active.folder.write(active.record)
        active.resume = True

    def ended(self, active: ActiveRun, status: Status, failure: Failure | None = None) -> None:
        """The run has no job any more: it is finished or PAUSED, and no worker may write its checkpoints."""
        active.folder.end_attempts()
        provenance = active.record.provenance.ended(self._clock.now())
        suspended = active.suspended and status is Status.PAUSED
        active.record = replace(active.record, status=status, suspended=suspended, failure=failure, provenance=provenance)
        reached(CrashPoint.END_HEARD)
        active.folder.write(active.record)
        reached(CrashPoint.END_RECORDED)
        for observer in self._observers:
            if not active.opened:  # its job never began
                observer.opened(active.record, active.epochs)
            observer.closed(active.record)

    def pruned(self, record: RunRecord) -> Update:
        """A paused run, which has no job, ends as PRUNED."""
        folder = self._archive.folder(record)
        record = replace(record, status=Status.PRUNED, provenance=record.provenance.ended(self._clock.now()))
        folder.write(record)
        epochs = folder.epochs()
        for observer in self._observers:
            observer.opened(record, epochs)
            observer.closed(record)
        return Update(record=record, epochs=epochs)
