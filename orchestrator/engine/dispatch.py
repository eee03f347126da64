"""Between conductor and executor: jobs go out, events come back and become records; each kind of failure has its remedy.

Everything that is heard is recorded first, then told to the observers, then handed to the caller, who decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

from orchestrator.engine.recovery.retry_policy import RETRIES, Remedy, remedy, stopping
from orchestrator.engine.recovery.watchdog import HANG_TIMEOUTS, HangTimeouts, Watchdog
from orchestrator.engine.recovery.worker_health import WorkerHealth
from orchestrator.errors import OrchestrateError, Unavailable
from orchestrator.executors.base import Executor
from orchestrator.jobs import Began, Event, Failed, Finished, Job, Measured, Paused, Reduced, Saved, WorkerLost
from orchestrator.observers.base import Observer
from orchestrator.record import Checkpoint, Epoch, Failure, FailureKind, Kind, RunRecord, Status
from orchestrator.storage.archive import RunArchive, StudyArchive
from orchestrator.support.clock import Clock
from orchestrator.support.fault_injection import CrashPoint, reached
from orchestrator.worker.failures import is_device_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """How a run is to be carried out: what does not belong to its record."""

    until_epoch: int
    measure: Literal["none", "test"] = "none"
    keep_last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A run's record and epochs, after something about them has changed.

    `measured` says that the last of them was measured just now, or taken over from a checkpoint; `decide` that the run stands at
    the end of what it was granted, and hears a decision next. `notes` are worth a line to the user.
    """

    record: RunRecord
    epochs: Sequence[Epoch]
    measured: bool = False
    decide: bool = False
    notes: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True, eq=False)
class _Active:
    """A run that has a job now. `worker` is None while the job waits for a worker other than `avoid`."""

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
        timeouts: HangTimeouts = HANG_TIMEOUTS,
    ) -> None:
        self._study = folder
        self._executor = executor
        self._observers = observers
        self._clock = clock
        self._checkpoint_share = checkpoint_share
        self._active: dict[str, _Active] = {}
        self._watchdog = Watchdog(clock, timeouts)
        self._health = WorkerHealth()
        self._waiting: list[_Active] = []  # for a worker other than the one that they failed on
        self._ready: list[Update] = []  # what changed without an event
        self._digests: dict[str, str] | None = (
            None  # of the data sets that the study's runs were trained on; None: not looked yet
        )

    @property
    def free(self) -> int:
        """Jobs that could be started now. None while as many wait for another worker as there are workers."""
        waiting, workers = len(self._waiting), self._executor.workers
        return max(workers - (len(self._active) - waiting), 0) if waiting < workers else 0

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
        record = summed_up(replace(record, status=Status.RUNNING, suspended=False, failure=None, attempt=attempt), epochs)
        folder.write(record)
        active = _Active(record=record, folder=folder, assignment=assignment, epochs=epochs, resume=again)
        self._active[record.run_id] = active
        self._begin(active)
        reached(CrashPoint.JOB_SENT)
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

    def end(self, record: RunRecord) -> Update:
        """End a paused run as PRUNED."""
        folder = self._study.folder(record)
        record = replace(record, status=Status.PRUNED, provenance=replace(record.provenance, finished=self._clock.now()))
        folder.write(record)
        epochs = folder.epochs()
        for observer in self._observers:
            observer.opened(record, epochs)
            observer.closed(record)
        return Update(record=record, epochs=epochs)

    def pause(self, run_id: str) -> None:
        """Stop a run with its checkpoint kept; an update says when it is PAUSED."""
        active = self._active[run_id]
        if active in self._waiting:
            self._ready.append(self._close(active, Status.PAUSED))
        else:
            self._executor.stop(run_id, keep=True)
        reached(CrashPoint.PAUSE_ASKED)

    def suspend(self) -> None:
        """Pause all runs until the next session, whose first they are. May be called again: a lost job is sent once more."""
        for run_id, active in tuple(self._active.items()):
            active.suspended = True
            self.pause(run_id)

    def wait(self, timeout: float) -> Iterator[Update]:
        """What has changed, one by one: the caller acts on each before the next event is taken, however many come together.

        Waits up to `timeout` seconds for the first. Raises DiskError, BadData or MissingInput when a run failed for a reason that
        concerns all, Unavailable when no worker is left in service, and OrchestrateError when many runs fail the same way; what
        has a job then stays RUNNING in the records, to be resumed.
        """
        yield from self._unheard()
        for event in self._executor.events(timeout):
            update = self._hear(event)
            if update is not None:
                yield update
            yield from self._unheard()
        for active in tuple(self._waiting):  # also when nothing was heard: a place may be filled again without an event
            self._send(active)
        for run_id, why in self._watchdog.overdue():
            active = self._active[run_id]
            if active.worker is not None:
                active.hung = why
                self._executor.replace(active.worker)

    def _unheard(self) -> Iterator[Update]:
        while self._ready:
            yield self._ready.pop(0)

    def _hear(self, event: Event) -> Update | None:
        active = self._active.get(event.run_id)
        if active is None or event.attempt != active.record.attempt:
            return None  # of an earlier attempt, or of a run that was ended meanwhile
        self._watchdog.progress(event.run_id, event.epoch.seconds if isinstance(event, Measured) else None)
        match event:
            case Began():
                return self._began(active, event)
            case Reduced():
                return self._reduced(active, event)
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
                return self._failed(active, event.failure)
            case WorkerLost():
                message = f"{event.message}: {active.hung}" if active.hung else event.message
                return self._failed(active, Failure(kind=FailureKind.HUNG if active.hung else FailureKind.LOST, message=message))

    def _began(self, active: _Active, event: Began) -> Update:
        facts = event.facts
        self._check_data(active.record, facts.data_digest)
        provenance = replace(
            active.record.provenance,
            host=facts.host,
            device=facts.device,
            threads=facts.threads,
            versions=facts.versions,
            data_digest=facts.data_digest,
            precision=facts.precision,
            validation_images=facts.validation_images,
        )
        active.epochs = list(event.epochs)
        if active.resume:  # else nothing was recorded that could have to be dropped
            active.folder.keep_epochs(active.epochs)
        # Written with the run's next change: a job that is begun again says it again.
        active.record = summed_up(replace(active.record, provenance=provenance), active.epochs)
        active.opened = True
        for observer in self._observers:
            observer.opened(active.record, active.epochs)
        notes = (f"{active.record.run_id}: {event.note}",) if event.note else ()
        return _behind_an_epoch(active, notes) if active.epochs else Update(record=active.record, epochs=[], notes=notes)

    def _check_data(self, record: RunRecord, digest: str) -> None:
        """Refuse to go on when a data set has other images than for the runs before: no two of them could be compared."""
        if self._digests is None:
            earlier = (run for run in self._study.runs(*Kind) if run.provenance.data_digest)
            self._digests = {run.recipe.dataset: run.provenance.data_digest for run in earlier}
        dataset = record.recipe.dataset
        if self._digests.setdefault(dataset, digest) != digest:
            message = (
                f"{dataset} is not what the other runs of this study were trained on: its images or labels have changed. "
                "Put them back, or begin a new study with --study NAME"
            )
            raise stopping(record.run_id, Failure(kind=FailureKind.DATA, message=message))

    def _reduced(self, active: _Active, event: Reduced) -> Update:
        first = not active.record.micro_batch
        active.record = replace(active.record, micro_batch=event.micro_batch)
        active.folder.write(active.record)
        note = (
            f"{active.record.run_id}: not enough memory in epoch {event.epoch}; its batches are passed through the model in parts"
        )
        return Update(record=active.record, epochs=active.epochs, notes=(note,) if first else ())

    def _measured(self, active: _Active, event: Measured) -> Update:
        if active.worker is not None:
            self._health.measured(active.worker)
        active.folder.append(event.epoch)
        active.epochs.append(event.epoch)
        active.record = summed_up(active.record, active.epochs)
        reached(CrashPoint.EPOCH_RECORDED)
        for observer in self._observers:
            observer.measured(active.record, event.epoch)
        reached(CrashPoint.EPOCH_HEARD)
        return _behind_an_epoch(active)

    def _failed(self, active: _Active, failure: Failure) -> Update:
        """Try the run again elsewhere, or end it, or stop everything: as the kind of failure and its earlier ones ask for."""
        run_id, setbacks, worker = active.record.run_id, active.record.setbacks, active.worker
        chosen = remedy(failure, setbacks)
        if chosen is Remedy.STOP:
            raise stopping(run_id, failure)
        notes = self._judge(worker, run_id, failure, chosen)
        if not self._executor.workers:
            raise Unavailable(
                f"{notes[-1]}. No worker is left; nothing is lost, and the same command carries on with what was under way"
            )
        if chosen is Remedy.FAIL:
            if setbacks:
                failure = replace(failure, message=f"{failure.message}; given up after {len(setbacks) + 1} attempts")
            update = self._close(active, Status.FAILED, failure)
            return replace(update, notes=(*notes, *update.notes))
        active.record = replace(active.record, setbacks=(*setbacks, failure), attempt=active.record.attempt + 1)
        active.folder.write(active.record)
        active.resume, active.avoid, active.hung = True, worker, ""
        self._begin(active)
        again = f"{run_id}: {failure.kind.value}: {failure.message}; retry {len(setbacks) + 1} of {RETRIES}"
        return Update(record=active.record, epochs=active.epochs, notes=(*notes, again))

    def _judge(self, worker: int | None, run_id: str, failure: Failure, chosen: Remedy) -> list[str]:
        """Renew, or take out of service, the worker on which a run failed. Returns what is to be said about it."""
        if worker is None:
            return []
        if self._health.failed(worker, run_id, failure):
            self._executor.retire(worker)
            return [f"worker {worker} is out of service: run after run fails there ({failure.kind.value}: {failure.message})"]
        if is_device_error(failure) or (failure.kind is FailureKind.CRASHED and chosen is Remedy.RETRY):
            self._executor.replace(worker)  # nobody knows what a crash left behind; after a device error nothing works there
        return []

    def _begin(self, active: _Active) -> None:
        """Begin an attempt: from now on whoever had the run before can replace none of its checkpoints."""
        active.folder.begin_attempt(active.record.attempt)
        active.worker = None
        self._watchdog.end(active.record.run_id)
        self._waiting.append(active)
        self._send(active)

    def _send(self, active: _Active) -> None:
        """Hand the run's job to a worker, if there is one for it."""
        if len(self._active) - len(self._waiting) >= self._executor.workers:
            return
        record, assignment = active.record, active.assignment
        job = Job(
            run_id=record.run_id,
            attempt=record.attempt,
            recipe=record.recipe,
            metric=record.metric,
            until_epoch=assignment.until_epoch,
            folder=str(active.folder.path.resolve()),
            resume=active.resume,
            measure=assignment.measure,
            checkpoint_share=self._checkpoint_share,
            micro_batch=record.micro_batch,
            keep_last=assignment.keep_last,
        )
        active.worker = self._executor.start(job, active.avoid)
        if active.worker is not None:
            self._waiting.remove(active)
            self._watchdog.begin(record.run_id)

    def _close(self, active: _Active, status: Status, failure: Failure | None = None) -> Update:
        del self._active[active.record.run_id]
        if active in self._waiting:
            self._waiting.remove(active)
        self._watchdog.end(active.record.run_id)
        active.folder.end_attempts()
        provenance = replace(active.record.provenance, finished=self._clock.now())
        suspended = active.suspended and status is Status.PAUSED
        active.record = replace(active.record, status=status, suspended=suspended, failure=failure, provenance=provenance)
        reached(CrashPoint.END_HEARD)
        active.folder.write(active.record)
        reached(CrashPoint.END_RECORDED)
        for observer in self._observers:
            if not active.opened:  # it never came to begin
                observer.opened(active.record, active.epochs)
            observer.closed(active.record)
        if failure is not None:
            self._stop_if_hopeless(failure)
        elif active.worker is not None:
            self._health.succeeded(active.worker)
        return Update(record=active.record, epochs=active.epochs)

    def _stop_if_hopeless(self, failure: Failure) -> None:
        why = self._health.given_up(failure)
        if why:
            raise OrchestrateError(f"{why}: stopped instead of burning the others; mend it, and the same command carries on")


def _behind_an_epoch(active: _Active, notes: tuple[str, ...] = ()) -> Update:
    """The update of a run that has epochs behind it. It hears a decision where its grant ends, and not before.

    So an attempt that begins again is not decided twice on the way to where the one before it had come.
    """
    decide = len(active.epochs) >= active.assignment.until_epoch
    return Update(record=active.record, epochs=active.epochs, measured=True, decide=decide, notes=notes)


def summed_up(record: RunRecord, epochs: Sequence[Epoch]) -> RunRecord:
    """The record with what its epochs come to: how many, how long, and what they are worth."""
    seconds = sum(epoch.seconds for epoch in epochs)
    return replace(record, best=record.metric.best(epochs), epochs=len(epochs), seconds=seconds)
