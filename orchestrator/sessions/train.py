"""One session of a single run: one recipe, without a search."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from orchestrator import plugins
from orchestrator.contracts import ReferenceSystem
from orchestrator.data_identity import read_data
from orchestrator.hyperparameters import complete
from orchestrator.recipe import Recipe
from orchestrator.record import Kind, Provenance, RunRecord, Status
from orchestrator.sessions.find_recipe import reference_of
from orchestrator.sessions.resources import Resources
from orchestrator.sessions.single_run import check_recipe, complete_copies, find_record, result_line, train_run
from orchestrator.sessions.submit import check_same_data
from orchestrator.storage.file_names import FOLDERS
from orchestrator.storage.identity import identity, settled_in
from orchestrator.storage.lock import work_on
from orchestrator.storage.remembered_folders import data_folder_of, recorded, remember_runs_folder
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_file import StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.submission.predictor import trained_on
from orchestrator.support.clock import SystemClock
from orchestrator.support.disk_lookups import is_file
from orchestrator.support.environment import commit
from orchestrator.support.wording import several

STUDY = "train"  # the folder of single runs, unless another is named

# Of the recipe's own name, so that the names of this run's folder and of its retrain's are not too long.
_CHARACTERS = 40


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """Which recipe to train, and in which folder of runs to keep it."""

    recipe: Recipe
    study: str = STUDY


def train(request: TrainRequest, resources: Resources, say: Callable[[str], None]) -> RunRecord:
    """Train one recipe to its end; an interrupted run is resumed. The test set is not read.

    Raises OrchestrateError, also when the run fails.
    """
    store = RunsFolder(resources.runs)
    folder = store.study(request.study)
    folder.refuse_if_locked()
    had = folder.read() if folder.has_begun() else None
    given_data = recorded(resources.data_folder)
    data_folder = data_folder_of(had, resources.data_folder, say)
    resources = replace(resources, data_folder=data_folder)
    recipe = check_recipe(request.recipe, data_folder, say)
    trainer = plugins.trainer(recipe.trainer)
    system = reference_of(recipe, lambda params: complete(trainer.hyperparameters, params))
    clock = SystemClock()
    commit_id, dirty = commit(Path.cwd())
    with folder.lock(FOLDERS[Kind.SINGLE]) as tell_work:
        remember_runs_folder(resources.runs)
        study, note = _settled(folder, store, clock.now())
        study = study.with_data_folder(given_data)
        provenance = Provenance(study=study.uuid, commit=commit_id, dirty=dirty, started=clock.now())
        record = _record(folder, recipe, system, provenance)
        tell_work(work_on(record))
        run = folder.folder(record)
        is_trained = record.status is Status.COMPLETE and is_file(run.best_checkpoint)
        if is_trained:
            now = replace(read_data(recipe.dataset, data_folder, "train").identity, test_names="")
            check_same_data(record.run_id, trained_on(run, record), now)
        if note:
            say(note)
        if is_trained:
            say(f"{record.run_id} is trained already; to train it again, keep it under another name with --study NAME")
            complete_copies(record, study, folder, resources, say)
        else:
            for line in _introduced(record, system, "resumed" if run.has_record() else "begun"):
                say(line)
            record = train_run(record, "none", study, folder, resources, say)
            if record.status is Status.PAUSED:
                return record
        run.delete_checkpoints(best=False)  # no longer needed: a single run is never extended
    say(result_line(record))
    if system is not None:
        own = system.recipe()
        say(f"report {system.system}, after {several(own.epochs, 'epoch')} on {own.dataset}: {system.reported.text()}")
    return record


def _settled(folder: StudyFolder, store: RunsFolder, now: float) -> tuple[StudyFile, str]:
    """What study.json is to say of this folder of single runs, and what to say of it; the caller holds its lock."""
    if not folder.has_begun():
        folder.runs()  # raises where only study.json is missing
        return settled_in(folder, StudyFile(uuid=uuid.uuid4().hex, name=folder.name, created=now)), ""
    found = identity(folder, store)
    return found.file, found.note


def _record(folder: StudyFolder, recipe: Recipe, system: ReferenceSystem | None, provenance: Provenance) -> RunRecord:
    """The record of the run of this recipe: the one that is there, or a new one. The recipe alone decides its name."""
    name = f"{recipe.plan[:_CHARACTERS]}-{recipe.fingerprint()[:8]}"
    return find_record(folder, Kind.SINGLE, name) or RunRecord(
        run_id=folder.run_id(Kind.SINGLE, name),
        kind=Kind.SINGLE,
        number=max((record.number for record in folder.runs(Kind.SINGLE)), default=-1) + 1,
        recipe=recipe,
        reference=system.system if system is not None else None,
        provenance=provenance,
    )


def _introduced(record: RunRecord, system: ReferenceSystem | None, how: str) -> list[str]:
    recipe = record.recipe
    what = f"reference system {system.system}" if system is not None else f"a {recipe.trainer}"
    lines = [f"{record.run_id} {how}: {what}, {several(recipe.epochs, 'epoch')} on {recipe.dataset}, seed {recipe.seed}"]
    return [*lines, *system.scaling(recipe.epochs)] if system is not None else lines
