"""Conducts a study: gives trials to workers, hears every epoch, and decides whether a trial continues.

One conductor owns a study. It alone asks, decides and writes records, so N trials are exactly N, whatever fails.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import final

from orchestrator.engine.active_run import Assignment, Update
from orchestrator.engine.dispatch import Dispatch
from orchestrator.engine.earlier_sessions import ended_while_paused, suspend_interrupted
from orchestrator.engine.kept_checkpoints import KeptCheckpoints
from orchestrator.engine.new_trials import NewTrials
from orchestrator.engine.trials import Trials
from orchestrator.record import Epoch, Kind, RunRecord, Status
from orchestrator.scheduling.base import Decision, Scheduler
from orchestrator.search.optuna_study import OptunaStudy
from orchestrator.stopping.rules import EXHAUSTED, SessionEnd, StoppingRule, session_end
from orchestrator.storage.archive import StudyArchive


@final
class Conductor:
    """Runs the trials of one study; the caller holds the study's lock.

    `search` is the one that `new_trials` asks. `rules` may end the session early; `say` gets lines for the user.
    """

    def __init__(
        self,
        *,
        archive: StudyArchive,
        new_trials: NewTrials,
        search: OptunaStudy,
        scheduler: Scheduler,
        dispatch: Dispatch,
        say: Callable[[str], None],
        rules: Sequence[StoppingRule] = (),
    ) -> None:
        self._archive = archive
        self._new_trials = new_trials
        self._search = search
        self._scheduler = scheduler
        self._dispatch = dispatch
        self._say = say
        self._rules = rules
        self._trials = Trials()
        self._checkpoints = KeptCheckpoints(archive, resumable=scheduler.pauses)
        self._ended_before: dict[int, RunRecord] = {}  # PRUNED by earlier sessions while they were paused, and not resumed yet
        self._told = False  # why the session ends
        self.ended: SessionEnd | None = None

    def run(self, trials: int) -> Sequence[RunRecord]:
        """Until exactly `trials` trials are finished, or `ended` says why there are fewer. Returns the records of all trials.

        Raises DiskError or BadData, and what `Dispatch.wait` raises, with the running trials to be resumed.
        """
        interrupted = self._take_over(trials)
        while self._trials.finished < trials and self.ended is None:
            end = session_end(self._rules)
            self._tell(end)
            if end is not None and end.suspend:
                self._dispatch.suspend()
            else:
                self._fill(trials, interrupted, new=end is None)
            if self._dispatch.active:
                for update in self._dispatch.wait(timeout=1.0):
                    self._hear(update)
            elif end is not None or not self._prune_paused(trials):
                self.ended = end or EXHAUSTED
        for record in suspend_interrupted(self._archive, interrupted):
            self._trials.replace(record)
        return self._trials.in_order()

    def _tell(self, end: SessionEnd | None) -> None:
        """Say what is to be known at once: that the session ends, long before its last epoch, and which workers died."""
        for note in self._dispatch.notes():
            self._say(note)
        if end is not None and not self._told and self._dispatch.active:
            what = "are suspended after their current epochs" if end.suspend else "are completed, and no new one is begun"
            self._say(f"{end.reason}: the running trials {what}")
            self._told = True

    def _take_over(self, trials: int) -> list[RunRecord]:
        """Learn what earlier sessions left. Returns the trials that they were training.

        A study that is extended may resume trials that ended while they were paused.
        """
        found = sorted(self._archive.runs(Kind.TRIAL), key=lambda record: record.number)
        for record in found:
            if record.status.finished:
                self._checkpoints.tidy(record)
        if self._scheduler.pauses and sum(record.status.finished for record in found) < trials:
            self._ended_before = {record.number: record for record in ended_while_paused(self._archive, found)}
        for record in found:
            status = Status.PAUSED if record.number in self._ended_before else record.status
            self._note(replace(record, status=status), self._archive.folder(record).epochs())
        return [record for record in self._trials if record.status is Status.RUNNING or record.suspended]

    def _fill(self, trials: int, interrupted: list[RunRecord], *, new: bool) -> None:
        """Give every free worker a trial: an interrupted one, else one that `_next` chooses."""
        while self._dispatch.free and self._trials.finished + self._dispatch.active < trials:
            record = interrupted.pop(0) if interrupted else self._next(new=new, room=len(self._trials) < trials)
            if record is None:
                return
            self._start(record)

    def _next(self, *, new: bool, room: bool) -> RunRecord | None:
        """An enqueued setting, a paused trial that the scheduler promotes, or a new trial; None where there is none.

        Without `new`, as when a rule ends the session, only a promoted one; without `room` the study has all its trials.
        """
        if not new:
            return self._promoted(last=True) if self._scheduler.pauses else None
        if room and (enqueued := self._new_trials.enqueued(self._trials)) is not None:
            return enqueued
        begin = room and not self._new_trials.exhausted
        promoted = self._promoted(last=not begin)
        return self._new_trials.next(self._trials) if promoted is None and begin else promoted

    def _promoted(self, *, last: bool) -> RunRecord | None:
        """The paused trial that the scheduler resumes; `last` says that no new trial is begun any more."""
        paused = [self._search.curve(record.number) for record in self._trials.paused()]
        promoted = self._scheduler.resume(paused, self._search.others(-1), last=last) if paused else None
        return self._trials.named(promoted)

    def _prune_paused(self, trials: int) -> bool:
        """Prune trials that nothing will resume, until there are so many finished ones. Returns whether there are."""
        for record in self._trials.paused()[: trials - self._trials.finished]:
            if record.number in self._ended_before:
                self._note(self._ended_before[record.number], self._archive.folder(record).epochs())
            else:
                self._hear(self._dispatch.prune_paused(record))
        return self._trials.finished >= trials

    def _start(self, record: RunRecord) -> None:
        promoted = record.status is Status.PAUSED and not record.suspended
        # An interrupted trial may stand at a rung at which nothing was decided: it waits there, or it would train past it before
        # the decision arrives.
        decided = record.epochs if promoted else max(record.epochs - 1, 0)
        until = min(self._scheduler.next_rung(decided), record.recipe.epochs)
        if promoted:
            self._ended_before.pop(record.number, None)
        started = self._dispatch.start(record, Assignment(until_epoch=until))
        self._note(started, self._archive.folder(started).epochs())
        self._new_trials.started(record)

    def _hear(self, update: Update) -> None:
        for note in update.notes:
            self._say(note)
        record = update.record
        self._note(record, update.epochs)
        if record.status.finished:
            self._checkpoints.tidy(record)
        elif update.decide and record.epochs < record.recipe.epochs:
            self._decide(record)

    def _decide(self, record: RunRecord) -> None:
        match self._scheduler.decide(self._search.curve(record.number), self._search.others(record.number)):
            case Decision.GO_ON:
                until = min(self._scheduler.next_rung(record.epochs), record.recipe.epochs)
                self._dispatch.grant(record.run_id, until)
            case Decision.PAUSE:
                self._dispatch.pause(record.run_id)
            case Decision.STOP:
                self._hear(self._dispatch.prune(record.run_id))

    def _note(self, record: RunRecord, epochs: Sequence[Epoch]) -> None:
        for rule in self._rules:
            rule.note(record)
        self._trials.note(record)
        self._search.know(record, record.metric.objective_values(epochs))
