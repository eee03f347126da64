"""One session of a study: open and lock it, start the workers, search, and summarise."""

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
from orchestrator.observers.in_training import InTraining
from orchestrator.observers.replay import replay
from orchestrator.record import Kind, Provenance, RunRecord, Status
from orchestrator.scheduling.optuna_pruners import warm_up
from orchestrator.scheduling.schedulers import scheduler
from orchestrator.search import spaces
from orchestrator.search.optuna_study import fitting
from orchestrator.search.written_values import written_as_far_as_known
from orchestrator.selection.uncertainty import describe_uncertainty
from orchestrator.sessions.estimates.cpu_time import Work, slow_work
from orchestrator.sessions.find_recipe import typical_recipe
from orchestrator.sessions.observers import observing, open_mirror, open_published_copy
from orchestrator.sessions.open_study import OpenedStudy, Request, open_study
from orchestrator.sessions.resources import Resources, start_workers
from orchestrator.sessions.stopping_rules import idle_limits, stopping_rules
from orchestrator.stopping.rules import StoppingRule
from orchestrator.storage.commands import study_command
from orchestrator.storage.identity import settled_in
from orchestrator.storage.progress import reached_by
from orchestrator.storage.queue import SettingQueue
from orchestrator.storage.remembered_folders import remember_runs_folder
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.status import StudyStatus, study_status
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.storage.study_options import Limits
from orchestrator.support.activity import doing
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
    after = study_status(folder)  # as study.json has it now: with the reason of an early end
    _summarise(after, folder, say)
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
    with (
        start_workers(resources, folder, say, expected=opened.plan.recipe) as workers,
        slow_work(_work(opened, before, workers.workers), resources, before) as slow,
    ):
        with doing(f"checking the plan and the data of study {folder.name}"):
            opened.validate(say)
        # Before the database knows the study's uuid, and only if the database takes it.
        with folder.writing(opened.file):
            copy = open_published_copy(opened.file, opened.storage, store, folder, before)
        _announce(opened, before, say)
        if (warning := slow.warning()) is not None:
            say(warning)
        console = Console(say, total=trials, workers=workers.workers, metric=opened.plan.metric, before=before, clock=clock)
        copies: list[Observer] = [copy, *open_mirror(opened.file, folder, resources.mirror, resources.wandb)]
        in_training = InTraining(clock)
        observers = [*copies, console, in_training]
        with observing(observers, say), doing(lambda: console.between_runs(in_training.text())):
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


def _work(opened: OpenedStudy, before: Sequence[RunRecord], workers: int) -> Work:
    """The trials that are left, as far as can be said before they are trained."""
    options = opened.search.options
    return Work(
        recipe=replace(typical_recipe(opened.plan), dataset=options.dataset),
        runs=opened.search.trials - sum(record.status.finished for record in before),
        epochs=options.epochs,
        fewest_epochs=options.epochs if options.pruner == "none" else min(warm_up(options.epochs), options.epochs),
        at_a_time=workers,
    )


def _conductor(
    opened: OpenedStudy, dispatch: Dispatch, rules: Sequence[StoppingRule], clock: Clock, say: Callable[[str], None]
) -> Conductor:
    """The conductor of the study, with the search and the scheduler that its options name."""
    plan, options, folder = opened.plan, opened.search.options, opened.folder
    commit_id, dirty = commit(Path.cwd())
    search = opened.new_search()
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
    """Say what the study is; at its beginning also which reference settings it tries first."""
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
    for note in idle_limits(opened):
        say(note)
    if not before and opened.plan.baselines:
        fit = [baseline.system for baseline in fitting(opened.plan)]
        misfits = len(opened.plan.baselines) - len(fit)
        tried = f"{', '.join(fit) or 'none'} {'are' if len(fit) > 1 else 'is'} tried first"
        others = f"; {misfits} {'does' if misfits == 1 else 'do'} not fit this plan (--dry-run says why)" if misfits else ""
        say(f"reference settings: {tried}{others}")


def plain(after: StudyStatus) -> dict[str, Any]:
    """What the session left, for --format json: all that `_summarise` says, and more."""
    return {**after.plain(), "uncertainty": _uncertainty(after)}


def _uncertainty(after: StudyStatus) -> str:
    return describe_uncertainty(after.best, after.trials) if after.best is not None else ""


def _sampled(after: StudyStatus, record: RunRecord) -> dict[str, Any]:
    """The sampled hyperparameters of a trial, as the plan writes them."""
    content = after.study.require_search().plan_content
    written = written_as_far_as_known(content["recipe"]["trainer"])
    return {
        name: spaces.as_written(distribution, name, record.recipe.params[name], written)
        for name, distribution in spaces.space(content["space"]).items()
    }


def _summarise(after: StudyStatus, folder: StudyFolder, say: Callable[[str], None]) -> None:
    say(f"study {after.study.name}: {after.finished} finished trials ({after.counts()})")
    best = after.best
    if best is not None and best.best is not None:
        sampled = ", ".join(f"{name} {short(value)}" for name, value in _sampled(after, best).items())
        say(f"best {best.metric.name} {best.best.value:.4f}: {best.run_id}, {reached_by(best)}; {sampled}")
        if uncertainty := _uncertainty(after):
            say(uncertainty)
        say(f"next: {study_command(folder, 'retrain-best', folder.name)}")
