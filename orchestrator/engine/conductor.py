"""Conducts a study: asks what to try, hands it to the workers, hears every epoch, and decides whether it goes on.

One conductor owns a study. It alone asks, decides and writes records, so N trials are exactly N, whatever dies.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from orchestrator.contracts import StudyPlan
from orchestrator.engine.dispatch import Assignment, Dispatch, Update, summed_up
from orchestrator.engine.recovery.watchdog import HANG_TIMEOUTS, HangTimeouts
from orchestrator.executors.base import Executor
from orchestrator.observers.base import Observer
from orchestrator.record import Epoch, Kind, Provenance, RunRecord, Status
from orchestrator.scheduling.base import Decision
from orchestrator.search.optuna_study import OptunaStudy
from orchestrator.stopping.rules import EXHAUSTED, SessionEnd, StoppingRule
from orchestrator.storage.archive import StudyArchive
from orchestrator.storage.queue import SettingQueue
from orchestrator.storage.study_file import StudyFile
from orchestrator.support.clock import Clock
from orchestrator.support.seeds import derive

# Best trials whose weights are kept, to be loaded and compared; a retrain starts from scratch and needs none.
BEST_KEPT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What every record of this session says of its origin."""

    commit: str
    dirty: bool


@final
class Conductor:
    """Runs the trials of one study; the caller holds the study's lock.

    `complete` fills in a trainer's defaults; `say` gets lines for the user. With `replicate`, a study that has tried every
    setting of its space trains them again with fresh seeds; without, it ends. `endings` may end it earlier. Settings that are
    `enqueued` come first. `search` asks and prunes, in place of what the study's options name.
    """

    def __init__(
        self,
        *,
        study: StudyFile,
        plan: StudyPlan,
        folder: StudyArchive,
        executor: Executor,
        observers: Sequence[Observer],
        clock: Clock,
        origin: Origin,
        complete: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        say: Callable[[str], None],
        endings: Sequence[StoppingRule] = (),
        enqueued: SettingQueue | None = None,
        replicate: bool = False,
        checkpoint_share: float = 0.02,
        search: OptunaStudy | None = None,
        timeouts: HangTimeouts = HANG_TIMEOUTS,
    ) -> None:
        self._file = study
        self._plan = plan
        self._folder = folder
        self._clock = clock
        self._origin = origin
        self._complete = complete
        self._say = say
        self._endings = endings
        self._replicate = replicate
        self._enqueued = enqueued
        self._taken: set[str | None] = set()  # the files of enqueued settings that have a trial
        options = study.options
        self._study = search or OptunaStudy(plan, seed=options.seed, sampler=options.sampler, pruner=options.pruner)
        self._scheduler = self._study.scheduler()
        self._dispatch = Dispatch(
            folder=folder,
            executor=executor,
            observers=observers,
            clock=clock,
            checkpoint_share=checkpoint_share,
            timeouts=timeouts,
        )
        self._records: dict[int, RunRecord] = {}
        self._configurations: dict[str, RunRecord] = {}  # of each configuration, the first trial that has it
        self.ended: SessionEnd | None = None
        self._finished = 0
        self._kept: list[RunRecord] = []
        self._waited: dict[int, RunRecord] = {}  # trials that earlier sessions ended while they waited to be resumed

    def run(self, trials: int) -> Sequence[RunRecord]:
        """Until exactly `trials` trials are finished, or `ended` says why there are fewer. Returns the records of all trials.

        Raises DiskError or BadData, and what `Dispatch.wait` raises, with what was under way to be resumed.
        """
        interrupted = self._take_over(trials)
        while self._finished < trials and self.ended is None:
            end = self._end()
            if end is None:
                self._fill(trials, interrupted)
            elif end.suspend:
                self._dispatch.suspend()
            else:
                self._wind_up(trials, interrupted)
            if self._dispatch.active:
                for update in self._dispatch.wait(timeout=1.0):
                    self._hear(update)
            elif end is not None or not self._end_paused(trials):
                self.ended = end or EXHAUSTED
        for record in suspend_interrupted(self._folder, interrupted):
            self._records[record.number] = record
        return [self._records[number] for number in sorted(self._records)]

    def _end(self) -> SessionEnd | None:
        """What the first rule says that would end the session; one that pauses what runs comes first."""
        ends = [end for end in (ending.end() for ending in self._endings) if end is not None]
        return max(ends, key=lambda end: end.suspend, default=None)

    def _fill(self, trials: int, interrupted: list[RunRecord]) -> None:
        """Give every free worker a trial, as long as there is one."""
        while self._dispatch.free and self._finished + self._dispatch.active < trials:
            record = interrupted.pop(0) if interrupted else self._next(trials)
            if record is None:
                return
            self._start(record)

    def _wind_up(self, trials: int, interrupted: list[RunRecord]) -> None:
        """When none is begun any more, give free workers what an earlier session was at work on, then what deserves to go on."""
        while self._dispatch.free and self._finished + self._dispatch.active < trials:
            if interrupted:
                self._start(interrupted.pop(0))
            elif self._scheduler.pauses and (resumed := self._to_resume(last=True)) is not None:
                self._start(resumed)
            else:
                return

    def _take_over(self, trials: int) -> list[RunRecord]:
        """Learn what earlier sessions left. Returns the trials that they were at work on.

        A study that is extended may go on with what it had only paused before.
        """
        found = sorted(self._folder.runs(Kind.TRIAL), key=lambda record: record.number)
        extended = self._scheduler.pauses and sum(record.status.finished for record in found) < trials
        for record in found:
            if record.status.finished:
                self._tidy(record)
            if extended and record.status is Status.PRUNED and self._folder.folder(record).resumable:
                self._waited[record.number] = record
            status = Status.PAUSED if record.number in self._waited else record.status
            self._note(replace(record, status=status), self._folder.folder(record).epochs())
        return [record for record in self._records.values() if record.status is Status.RUNNING or record.suspended]

    def _next(self, trials: int) -> RunRecord | None:
        """What a user enqueued, a paused trial that the scheduler wants to go on with, or a new one; None where there is none."""
        room = len(self._records) < trials
        if room and (asked_for := self._asked_for()) is not None:
            return asked_for
        new = room and (self._replicate or not self._study.exhausted)
        resumed = self._to_resume(last=not new)
        return self._new() if resumed is None and new else resumed

    def _to_resume(self, *, last: bool) -> RunRecord | None:
        """The paused trial that the scheduler wants to go on with."""
        paused = [self._study.curve(record.number) for record in self._paused()]
        resumed = self._scheduler.resume(paused, self._study.others(-1), last=last) if paused else None
        return next((record for record in self._records.values() if record.run_id == resumed), None)

    def _paused(self) -> list[RunRecord]:
        return [record for record in self._records.values() if record.status is Status.PAUSED]

    def _end_paused(self, trials: int) -> bool:
        """End trials that nothing will resume, until there are so many finished ones. Returns whether there are."""
        for record in self._paused()[: trials - self._finished]:
            if record.number in self._waited:
                self._note(self._waited[record.number], self._folder.folder(record).epochs())
            else:
                self._hear(self._dispatch.end(record))
        return self._finished >= trials

    def _asked_for(self) -> RunRecord | None:
        """A trial of the setting that waits longest."""
        if self._enqueued is None:
            return None
        for name in self._enqueued.names():
            if name not in self._taken:
                given = self._enqueued.params(name)
                if why := self._study.refuses(given):
                    raise self._enqueued.damaged(name, why)
                return replace(self._trial(given), enqueued=name)
            self._enqueued.remove(name)  # an earlier session was killed before it could
        return None

    def _new(self) -> RunRecord | None:
        """The next trial, as Optuna or the plan's reference settings suggest it, or a replicate where all was tried."""
        if not self._study.exhausted:
            return self._trial({})
        original = next_to_replicate(self._records.values()) if self._replicate else None
        return self._trial(self._study.setting(original.number)) if original is not None else None

    def _trial(self, given: Mapping[str, Any]) -> RunRecord:
        """The next trial, with the hyperparameters that are given."""
        number = max(self._records, default=-1) + 1
        sampled, reference = self._study.ask(number, given)
        template = self._plan.recipe
        recipe = replace(
            template,
            epochs=self._plan.epochs,
            seed=derive(self._file.options.seed, "trial", number),
            params=self._complete({**template.params, **sampled}),
        )
        original = self._configurations.get(recipe.configuration())
        return RunRecord(
            run_id=self._folder.run_id(Kind.TRIAL, f"{number:04d}"),
            kind=Kind.TRIAL,
            number=number,
            recipe=recipe,
            metric=self._plan.metric,
            reference=reference,
            replicate_of=original.run_id if original is not None else None,
            provenance=Provenance(
                study=self._file.uuid, commit=self._origin.commit, dirty=self._origin.dirty, started=self._clock.now()
            ),
        )

    def _start(self, record: RunRecord) -> None:
        resumed = record.status is Status.PAUSED and not record.suspended
        # One that an earlier session was at work on may stand at a rung that nothing was decided at: it waits there, or it would
        # train on while the decision is on its way.
        decided = record.epochs if resumed else max(record.epochs - 1, 0)
        until = min(self._scheduler.next_rung(decided), record.recipe.epochs)
        if resumed:
            self._waited.pop(record.number, None)
        started = self._dispatch.start(record, Assignment(until_epoch=until))
        self._note(started, self._folder.folder(started).epochs())
        if self._enqueued is not None and record.enqueued is not None:
            self._enqueued.remove(record.enqueued)

    def _hear(self, update: Update) -> None:
        for note in update.notes:
            self._say(note)
        record = update.record
        self._note(record, update.epochs)
        if record.status.finished:
            self._tidy(record)
        elif update.decide and record.epochs < record.recipe.epochs:
            self._decide(record)

    def _decide(self, record: RunRecord) -> None:
        match self._scheduler.decide(self._study.curve(record.number), self._study.others(record.number)):
            case Decision.GO_ON:
                until = min(self._scheduler.next_rung(record.epochs), record.recipe.epochs)
                self._dispatch.grant(record.run_id, until)
            case Decision.PAUSE:
                self._dispatch.pause(record.run_id)
            case Decision.STOP:
                self._hear(self._dispatch.prune(record.run_id))

    def _note(self, record: RunRecord, epochs: Sequence[Epoch]) -> None:
        before = self._records.get(record.number)
        if before is None:
            self._configurations.setdefault(record.recipe.configuration(), record)
            self._taken.add(record.enqueued)
        for ending in self._endings:
            ending.note(record)
        self._finished += record.status.finished - (before is not None and before.status.finished)
        self._records[record.number] = record
        self._study.know(record, record.metric.objective_values(epochs))

    def _tidy(self, finished: RunRecord) -> None:
        """Delete checkpoints that nobody needs: a finished trial's last one, and all but the best few to predict with."""
        pruned = finished.status is Status.PRUNED
        self._folder.folder(finished).delete_checkpoints(
            last=not (pruned and self._scheduler.pauses), best=finished.status is not Status.COMPLETE
        )
        if finished.status is not Status.COMPLETE:
            return
        ranked = sorted([*self._kept, finished], key=RunRecord.order)
        self._kept = ranked[:BEST_KEPT]
        for record in ranked[BEST_KEPT:]:
            self._folder.folder(record).delete_checkpoints()


def next_to_replicate(trials: Iterable[RunRecord]) -> RunRecord | None:
    """The trial to train again with a fresh seed: of the settings that were trained least often, the best one's first trial.

    A setting that only ever failed says nothing more the next time and is left out; None where no other is left.
    """
    groups: dict[str, list[RunRecord]] = {}
    for record in sorted(trials, key=lambda record: record.number):
        groups.setdefault(record.recipe.configuration(), []).append(record)
    worthy = [group for group in groups.values() if any(record.status is not Status.FAILED for record in group)]
    chosen = min(worthy, key=lambda group: (len(group), min(map(RunRecord.order, group))), default=None)
    return chosen[0] if chosen is not None else None


def suspend_interrupted(folder: StudyArchive, interrupted: Sequence[RunRecord]) -> list[RunRecord]:
    """Record as PAUSED, until N grows, what was under way when a smaller N is met already. Returns the new records."""
    paused = []
    for record in interrupted:
        run = folder.folder(record)
        paused.append(summed_up(replace(record, status=Status.PAUSED, suspended=True), run.epochs()))
        run.write(paused[-1])
    return paused
