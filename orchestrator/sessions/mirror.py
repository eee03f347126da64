"""The observers' copies of a study, rebuilt from its run folders."""

from collections.abc import Callable

from orchestrator.errors import InvalidInput, OrchestrateError
from orchestrator.observers.database_url import check_storage, storage_of
from orchestrator.observers.replay import replay
from orchestrator.record import Kind
from orchestrator.sessions.observers import open_mirror, open_published_copy
from orchestrator.storage.identity import identity
from orchestrator.storage.lock import COPIES
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.settings import wandb_defaults
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.activity import doing
from orchestrator.support.wording import several

# Seconds that an upload may take: a day, because a slow line is no error and Ctrl-C is at hand.
SECONDS_TO_REBUILD = 86_400.0


def rebuild_copies(folder: StudyFolder, store: RunsFolder, mode: str, storage: str | None, say: Callable[[str], None]) -> None:
    """Rebuild Optuna's copy and the W&B mirror from what is recorded. Raises OrchestrateError where that cannot be done."""
    study = folder.read()
    if storage is not None:
        study.require_search("Optuna's database has no copy of them, so leave out --storage")
        check_storage(storage)
    if mode == "off" and study.search is None:
        raise InvalidInput(
            f"{study.name!r} holds single runs, which have no copy but that in W&B: --mirror off leaves nothing to do"
        )
    url, defaults = storage_of(study, storage, say), wandb_defaults()
    with folder.lock(COPIES):
        runs = sorted(folder.runs(), key=lambda record: (record.kind is not Kind.TRIAL, record.number))
        found = identity(folder, store)
        if found.note:
            say(found.note)
        study = found.file
        folder.update(study)
        trials = [record for record in runs if record.kind is Kind.TRIAL]
        searched = [open_published_copy(study, url, store, folder, trials)] if study.search is not None else []
        mirrors = open_mirror(study, folder, mode, defaults)
        observers = [*searched, *mirrors]
        for observer in observers:
            replay(observer, ((record, folder.folder(record).epochs()) for record in runs))
        with doing(f"rebuilding the copies of {folder.name}"):
            warnings = [warning for observer in observers if (warning := observer.finish(SECONDS_TO_REBUILD))]
    if warnings:
        raise OrchestrateError("; ".join(warnings))
    if searched:
        say(f"Optuna's copy of {folder.name} holds its {several(len(trials), 'trial')}")
    kind = mirrors[0].note if mirrors else "off"
    if kind in ("off", "disabled"):
        say(f"W&B has no copy of {folder.name}, because the mirror is {kind}")
    else:
        say(f"the W&B copy of {folder.name} holds its {several(len(runs), 'run')}, {kind}")
