"""Between conductor and executor: jobs go out, events come in.

Every event is recorded first, then told to the observers, then handed to the caller, who decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import final

from orchestrator.engine.active_run import ActiveRun, Assignment, Update
from orchestrator.engine.active_runs import ActiveRuns
from orchestrator.engine.data_check import DataCheck
from orchestrator.engine.recorder import Recorder
from orchestrator.engine.recovery.recovery import Recovery
from orchestrator.engine.recovery.watchdog import HANG_TIMEOUTS, HangTimeouts
from orchestrator.executors.base import Executor
from orchestrator.jobs import Began, Event, Failed, Finished, Measured, Paused, Reduced, Saved, WorkerLost
from orchestrator.observers.base import Observer
from orchestrator.record import Checkpoint, Failure, FailureKind, RunRecord, Status
from orchestrator.storage.archive import StudyArchive
from orchestrator.support.clock import Clock
from orchestrator.support.fault_injection import CrashPoint, reached


@final
class Dispatch:
    """Gives jobs to workers and follows them. `checkpoint_share` of the training time may go into checkpoints."""

    def __init__(
        self,
        *,
        archive: StudyArchive,
        executor: Executor,
        observers: Sequence[Observer],
        clock: Clock,
        checkpoint_share: float = 0.02,
        timeouts: HangTimeouts = HANG_TIMEOUTS,
    ) -> None:
        self._executor = executor
        self._recorder = Recorder(archive, observers, clock)
        self._recovery = Recovery(executor, clock, timeouts)
        self._data = DataCheck(archive)
        self._runs = ActiveRuns(executor, self._recovery, checkpoint_share)
        self._ready: list[Update] = []  # what changed without an event
        self._notes: list[str] = []

    @property
    def free(self) -> int:
        """Jobs that could be started now. None while as many wait for another worker as there are workers."""
        return self._runs.free

    @property
    def active(self) -> int:
        """Runs that have a job now."""
        return len(self._runs)

    def notes(self) -> list[str]:
        """Lines for the user since the last call that belong to no run."""
        found, self._notes = self._notes, []
        return found

    def start(self, record: RunRecord, assignment: Assignment) -> RunRecord:
        """Start a run, or resume it: whatever its folder has is continued. Returns its record, now RUNNING."""
        active = self._recorder.start(record, assignment)
        self._runs.begin(active)
        reached(CrashPoint.JOB_SENT)
        return active.record

    def grant(self, run_id: str, until_epoch: int) -> None:
        """Let a run train up to this epoch."""
        active = self._runs[run_id]
        active.assignment = replace(active.assignment, until_epoch=until_epoch)
        self._executor.grant(run_id, until_epoch)

    def prune(self, run_id: str) -> Update:
        """End a run because of its curve."""
        self._executor.stop(run_id)
        return self._end(self._runs[run_id], Status.PRUNED)

    def prune_paused(self, record: RunRecord) -> Update:
        """End a paused run, which has no job, as PRUNED."""
        return self._recorder.pruned(record)

    def pause(self, run_id: str) -> None:
        """Interrupt a run with its checkpoint; an update says when it is PAUSED."""
        active = self._runs[run_id]
        if self._runs.waits(active):
            self._ready.append(self._end(active, Status.PAUSED))
        else:
            self._executor.stop(run_id, keep=True)
        reached(CrashPoint.PAUSE_ASKED)

    def suspend(self) -> None:
        """Pause all runs; the next session resumes them first. May be called again: a lost job is sent once more."""
        for active in self._runs.all():
            active.suspended = True
            self.pause(active.record.run_id)

    def wait(self, timeout: float) -> Iterator[Update]:
        """What has changed, one by one: the caller acts on each before the next event is taken, however many come together.

        Waits up to `timeout` seconds for the first. Raises DiskError, BadData or MissingInput when a run failed for a reason that
        concerns all, Unavailable when no worker is left, and OrchestrateError when many runs fail the same way; what has a job
        then stays RUNNING in the records, to be resumed.
        """
        yield from self._changed()
        for event in self._executor.events(timeout):
            if isinstance(event, WorkerLost) and not event.run_id:
                self._notes.append(f"{event.message} while it had no job, and is replaced")
            update = self._hear(event)
            if update is not None:
                yield update
            yield from self._changed()
        self._runs.send_waiting()  # also without an event: a worker may have been replaced silently
        for run_id, why in self._recovery.hung():
            active = self._runs[run_id]
            if active.worker is not None:
                active.hung = why
                self._executor.replace(active.worker)

    def _changed(self) -> Iterator[Update]:
        while self._ready:
            yield self._ready.pop(0)

    def _hear(self, event: Event) -> Update | None:
        active = self._runs.of(event)
        if active is None:
            return None
        self._recovery.progress(event.run_id, active.worker, event.epoch.seconds if isinstance(event, Measured) else None)
        match event:
            case Began():
                return self._began(active, event)
            case Reduced():
                return self._reduced(active, event)
            case Measured():
                self._recorder.measured(active, event.epoch)
                return active.after_an_epoch()
            case Saved():
                self._recorder.saved(active, Checkpoint(epoch=event.epoch, sha256=event.sha256))
                return None
            case Paused():
                return self._end(active, Status.PAUSED)
            case Finished():
                best = Checkpoint(epoch=event.best_epoch, sha256=event.best_sha256)
                active.record = replace(active.record, best_checkpoint=best, test=event.test)
                return self._end(active, Status.COMPLETE)
            case Failed():
                return self._failed(active, event.failure)
            case WorkerLost():
                message = f"{event.message}: {active.hung}" if active.hung else event.message
                kind = FailureKind.HUNG if active.hung else FailureKind.LOST
                return self._failed(active, Failure(kind=kind, message=message, log=event.log))

    def _began(self, active: ActiveRun, event: Began) -> Update:
        self._data.check(active.record, images=event.facts.data_digest, classes=event.facts.classes_digest)
        self._recorder.began(active, event)
        notes = (f"{active.record.run_id}: {event.note}",) if event.note else ()
        return active.after_an_epoch(*notes) if active.epochs else active.update(*notes)

    def _reduced(self, active: ActiveRun, event: Reduced) -> Update:
        first = not active.record.micro_batch
        self._recorder.reduced(active, event.micro_batch)
        note = f"{active.record.run_id}: not enough memory in epoch {event.epoch}; its batches are processed in smaller parts"
        return active.update(note) if first else active.update()

    def _failed(self, active: ActiveRun, failure: Failure) -> Update:
        worker = active.worker
        consequence = self._recovery.failed(active.record, worker, failure)
        if not consequence.retry:
            update = self._end(active, Status.FAILED, consequence.failure)
            return replace(update, notes=(*consequence.notes, *update.notes))
        self._recorder.retried(active, failure)
        active.avoid, active.hung = worker, ""
        self._runs.begin(active)
        return active.update(*consequence.notes)

    def _end(self, active: ActiveRun, status: Status, failure: Failure | None = None) -> Update:
        self._runs.remove(active)
        self._recorder.ended(active, status, failure)
        self._recovery.ended(active.worker, failure)
        return active.update()
