"""The full retrain of a run: from scratch, with a fresh seed, on training and confirmation images, the test set read once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from orchestrator.errors import MissingInput
from orchestrator.recipe import Recipe
from orchestrator.record import Kind, Provenance, RunRecord, Status, best_complete
from orchestrator.sessions.resources import Resources
from orchestrator.sessions.single_run import check_recipe, complete_copies, find_record, result_line, train_run
from orchestrator.sessions.submit import submit, target
from orchestrator.storage.commands import command, resume_command, study_command
from orchestrator.storage.file_names import FOLDERS
from orchestrator.storage.identity import identity
from orchestrator.storage.lock import work_on
from orchestrator.storage.remembered_folders import data_folder_of
from orchestrator.storage.run_folder import RunFolder, run_name
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.clock import SystemClock
from orchestrator.support.disk_lookups import is_file
from orchestrator.support.environment import commit
from orchestrator.support.fault_injection import CrashPoint, reached
from orchestrator.support.seeds import derive


def best_trial(folder: StudyFolder) -> RunRecord:
    """The best COMPLETE trial of a study: a pruned one was not trained to its end.

    Raises MissingInput when there is none, InvalidInput for a folder of single runs.
    """
    singles = folder.runs(Kind.SINGLE)
    instead = [f"retrain one of them, with: {study_command(folder, 'retrain', singles[-1].run_id)}"] if singles else []
    search = folder.read().require_search(*instead)
    trials = folder.runs(Kind.TRIAL)
    best = best_complete(trials)
    if best is None:
        ended = sum(record.status.finished for record in trials) >= search.trials
        resume = resume_command(folder, search, trials=2 * search.trials if ended else None)
        raise MissingInput(f"study {folder.name!r} has no COMPLETE trial yet; search on with: {resume}")
    return best


def retrain_recipe(source: RunRecord, epochs: int) -> Recipe:
    """The recipe of a retrain of `source`: the winner is fixed by now, so it may train on confirmation images."""
    recipe = source.recipe
    return replace(
        recipe,
        epochs=epochs,
        seed=derive(recipe.seed, "retrain"),
        split=replace(recipe.split, train_on="train+confirmation"),
    )


def retrain_record(folder: StudyFolder, source: RunRecord, epochs: int, provenance: Provenance) -> RunRecord:
    """The record of the retrain of `source` for so many epochs: the one that is there, or a new one.

    Its name is made of the trial's number and the recipe, so that no retrain ever overwrites another.
    """
    recipe = retrain_recipe(source, epochs)
    name = f"{run_name(source.run_id)}-{recipe.fingerprint()[:8]}"
    return find_record(folder, Kind.RETRAIN, name) or RunRecord(
        run_id=folder.run_id(Kind.RETRAIN, name),
        kind=Kind.RETRAIN,
        number=source.number,
        recipe=recipe,
        metric=source.metric,
        reference=source.reference,
        provenance=provenance,
    )


def newest_retrain(store: RunsFolder) -> tuple[StudyFolder, RunFolder]:
    """The retrain that was begun last, of all studies and of those that are COMPLETE. Raises MissingInput when there is none."""
    retrains = [
        (folder, record)
        for folder in map(store.study, store.studies())
        for record in folder.runs(Kind.RETRAIN)
        if record.status is Status.COMPLETE
    ]
    if not retrains:
        raise MissingInput(f"there is no finished retrain in {store.runs}; make one with: {command(store.runs, 'retrain-best')}")
    folder, record = max(retrains, key=lambda found: found[1].provenance.started)
    return folder, folder.folder(record)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainRequest:
    """Which run to train fully, and what to predict with it. None: as the plan has it, and where there are files."""

    source: RunRecord
    epochs: int | None = None
    ood_folder: Path | None = None
    partial: bool = False


def retrain(request: RetrainRequest, folder: StudyFolder, resources: Resources, say: Callable[[str], None]) -> RunRecord:
    """Retrain a run and write its submission, unless it is stopped; an interrupted retrain is resumed.

    A single run has no plan that says how long: it is trained for as many epochs as before. Raises OrchestrateError.
    """
    study, source = folder.read(), request.source
    content: Mapping[str, Any] = study.search.plan_content if study.search is not None else {}
    epochs = request.epochs or int(content.get("retrain_epochs", source.recipe.epochs))
    data_folder = data_folder_of(study, resources.data_folder, say)
    resources = replace(resources, data_folder=data_folder)
    check_recipe(retrain_recipe(source, epochs), data_folder, say)
    # Whatever is missing for the submission is reported now, not after hours of training.
    what = target(source.recipe.dataset, request.ood_folder, data_folder, partial=request.partial)
    if what.images is not None:
        what.images.check()
    device = resources.device_here()
    commit_id, dirty = commit(Path.cwd())
    with folder.lock(FOLDERS[Kind.RETRAIN]) as tell_work:
        found = identity(folder, RunsFolder(resources.runs))
        if found.note:
            say(found.note)
        study = found.file
        provenance = Provenance(study=study.uuid, commit=commit_id, dirty=dirty, started=SystemClock().now())
        record = retrain_record(folder, source, epochs, provenance)
        tell_work(work_on(record))
        run = folder.folder(record)
        if record.status is Status.COMPLETE and is_file(run.best_checkpoint):
            say(f"{record.run_id} is trained already")
            complete_copies(record, study, folder, resources, say)
        else:
            how = "resumed" if run.has_record() else "begun"
            say(f"retrain of {source.run_id} for {epochs} epochs {how}; in {run.path}")
            record = train_run(record, "test", study, folder, resources, say)
            if record.status is Status.PAUSED:
                return record
        say(result_line(record))
        reached(CrashPoint.RETRAINED)
        submit(run, record, what, data_folder, device, say)
    return record
