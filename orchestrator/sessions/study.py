"""One session of a study: open and lock it, start the workers, search, and summarise."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.engine.conductor import Conductor
from orchestrator.engine.dispatch import Dispatch
from orchestrator.engine.earlier_sessions import suspend_interrupted
from orchestrator.engine.new_trials import NewTrials, TrialTemplate
from orchestrator.errors import Mismatch, TryAgainLater, Unavailable
from orchestrator.observers.base import Observer
from orchestrator.observers.console import Console
from orchestrator.observers.replay import replay
from orchestrator.record import Kind, Provenance, RunRecord, Status
from orchestrator.scheduling.schedulers import scheduler
from orchestrator.search.optuna_study import OptunaStudy
from orchestrator.selection.uncertainty import describe_uncertainty
from orchestrator.sessions.observers import observing, open_mirror, open_published_copy
from orchestrator.sessions.open_study import OpenedStudy, Request, open_study
from orchestrator.sessions.resources import Resources, start_workers
from orchestrator.sessions.stopping_rules import stopping_rules
from orchestrator.stopping.rules import StoppingRule
from orchestrator.storage.identity import settled_in
from orchestrator.storage.progress import reached_by
from orchestrator.storage.queue import SettingQueue
from orchestrator.storage.remembered_folders import remember_runs_folder
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.status import StudyStatus, study_status
from orchestrator.storage.study_options import Limits
from orchestrator.support.clock import Clock, SystemClock
from orchestrator.support.environment import commit
from orchestrator.support.wording import several, short


def run_study(
    request: Request, limits: Limits, resources: Resources, say: Callable[[str], None], *, began: float | None = None
) -> StudyStatus:
    """Open the study, and search until it has its trials, or its limits end the session. Raises OrchestrateError.

    `began` is when the command did, as `elapsed` of the system clock, if that was earlier: a budget counts from there.
    """
    clock = SystemClock()
    began = clock.elapsed() if began is None else began
    store = RunsFolder(resources.runs)
    opened = open_study(request, store, resources.data_folder, clock, say)
    opened = replace(opened, file=replace(opened.file, limits=limits))
    resources = replace(resources, data_folder=opened.data_folder)
    folder, trials = opened.folder, opened.search.trials
    with folder.lock():
        remember_runs_folder(resources.runs)
        if folder.has_begun() and folder.recorded().uuid != opened.recorded_uuid:
            raise TryAgainLater(f"study {folder.name!r} was just begun by another process; try again")
        opened = replace(opened, file=settled_in(folder, opened.file))
        before = study_status(folder, opened.file)
        if before.finished >= trials:
            say(f"study {folder.name} has {before.finished} finished trials, and {trials} are asked for: nothing to do")
            if opened.note:
                say(opened.note)
            # Asked for fewer trials than there are, the study keeps its number.
            search = folder.read().search if folder.has_begun() else opened.search
            opened = replace(opened, file=replace(opened.file, search=search))
            folder.update(opened.file)
            suspend_interrupted(folder, [record for record in before.trials if record.status is Status.RUNNING])
            _complete_copy(opened, store, say)
        else:
            _search(opened, began, resources, store, before.trials, clock, say)
    after = study_status(folder, opened.file)
    _summarise(after, say)
    return after


def _search(
    opened: OpenedStudy,
    began: float,
    resources: Resources,
    store: RunsFolder,
    before: Sequence[RunRecord],
    clock: Clock,
    say: Callable[[str], None],
) -> None:
    folder, trials = opened.folder, opened.search.trials
    with start_workers(resources, folder, say, expected=opened.plan.recipe) as workers:
        opened.validate(say)
        # Before the database knows the study's uuid, and only if the database takes it.
        with folder.writing(opened.file):
            copy = open_published_copy(opened.file, opened.storage, store, folder, before)
        _announce(opened, before, say)
        console = Console(
            sys.stderr, total=trials, workers=workers.workers, metric=opened.plan.metric, before=before, clock=clock
        )
        copies: list[Observer] = [copy, *open_mirror(opened.file, folder, resources.mirror)]
        observers = [*copies, console]
        with observing(observers, say):
            for observer in copies:
                replay(observer, ((record, folder.folder(record).epochs()) for record in before))
            dispatch = Dispatch(archive=folder, executor=workers, observers=observers, clock=clock)
            rules = stopping_rules(opened, began, clock)
            conductor = _conductor(opened, dispatch, rules, clock, say)
            conductor.run(trials)
    end = conductor.ended
    if end is not None:
        folder.write(replace(opened.file, ended=end.reason))
        folder.clear_stop_request()
        say(f"study {folder.name} ends before it has {trials} trials: {end.reason}; {end.advice}")


def _conductor(
    opened: OpenedStudy, dispatch: Dispatch, rules: Sequence[StoppingRule], clock: Clock, say: Callable[[str], None]
) -> Conductor:
    """The conductor of the study, with the search and the scheduler that its options name."""
    plan, options, folder = opened.plan, opened.search.options, opened.folder
    commit_id, dirty = commit(Path.cwd())
    search = OptunaStudy(plan, seed=options.seed, sampler=options.sampler, pruner=options.pruner)
    template = TrialTemplate(
        plan=plan,
        seed=options.seed,
        complete=opened.complete,
        provenance=Provenance(study=opened.file.uuid, commit=commit_id, dirty=dirty),
    )
    queue, replicate = SettingQueue(folder), opened.file.limits.replicate
    return Conductor(
        archive=folder,
        new_trials=NewTrials(template, search=search, archive=folder, clock=clock, queue=queue, replicate=replicate),
        search=search,
        scheduler=scheduler(options.pruner, epochs=plan.epochs, direction=plan.metric.direction, seed=options.seed),
        dispatch=dispatch,
        say=say,
        rules=rules,
    )


def _complete_copy(opened: OpenedStudy, store: RunsFolder, say: Callable[[str], None]) -> None:
    """Publish what a session that was killed after its last record did not publish; a failure is only a warning."""
    folder = opened.folder
    trials = folder.runs(Kind.TRIAL)
    try:
        with observing([copy := open_published_copy(folder.read(), opened.storage, store, folder, trials)], say):
            replay(copy, ((record, folder.folder(record).epochs()) for record in trials))
    except (Unavailable, Mismatch) as error:
        say(f"warning: the published copy was not updated: {error}")


def _announce(opened: OpenedStudy, before: Sequence[RunRecord], say: Callable[[str], None]) -> None:
    """Say what the study is; at its beginning also which reference settings it tries first, and why not the others."""
    if opened.note:
        say(opened.note)
    options = opened.search.options
    finished = sum(record.status.finished for record in before)
    begun = f"resumed with {several(finished, 'finished trial')}" if before else "begun"
    trials, epochs = several(opened.search.trials, "trial"), several(options.epochs, "epoch")
    say(
        f"study {opened.folder.name} {begun}: {trials} of {epochs} on {options.dataset}, "
        f"sampler {options.sampler}, pruner {options.pruner}, seed {options.seed}; in {opened.folder.path}"
    )
    if not before:
        for baseline in opened.plan.baselines:
            tried = "is tried first" if not baseline.misfit else f"is not tried: {baseline.misfit}"
            say(f"reference setting {baseline.system} {tried}")


def plain(after: StudyStatus) -> dict[str, Any]:
    """What the session left, for --format json: all that `_summarise` says, and more."""
    return {**after.plain(), "uncertainty": _uncertainty(after)}


def _uncertainty(after: StudyStatus) -> str:
    return describe_uncertainty(after.best, after.trials) if after.best is not None else ""


def _summarise(after: StudyStatus, say: Callable[[str], None]) -> None:
    say(f"study {after.study.name}: {after.finished} finished trials ({after.counts()})")
    best = after.best
    if best is not None and best.best is not None:
        space = after.study.require_search().plan_content["space"]
        sampled = ", ".join(f"{name} {short(best.recipe.params[name])}" for name in space)
        say(f"best {best.metric.name} {best.best.value:.4f}: {best.run_id}, {reached_by(best)}; {sampled}")
        if uncertainty := _uncertainty(after):
            say(uncertainty)
        say(f"next: orchestrate retrain-best {after.study.name}")
