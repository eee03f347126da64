"""The copies of a study in Optuna's database and in Weights & Biases: started with a session, completed at its end."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from orchestrator.errors import OrchestrateError, Unavailable
from orchestrator.observers.base import Observer
from orchestrator.observers.database_url import sqlite_url
from orchestrator.observers.subprocess_observer import SubprocessObserver
from orchestrator.record import RunRecord
from orchestrator.search.written_values import written_as_far_as_known
from orchestrator.storage.commands import mirror_command
from orchestrator.storage.remembered_folders import recorded
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.settings import WandbDefaults
from orchestrator.storage.study_file import StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.activity import doing
from orchestrator.support.serialization import dumps

# Seconds that the copies may take together to be completed after the last run has ended, and after an interruption.
SECONDS_TO_FINISH = 60.0
SECONDS_WHEN_INTERRUPTED = 3.0
# Seconds in which the database of the published copy must answer.
SECONDS_TO_BEGIN = 30.0


def open_published_copy(
    study: StudyFile, storage: str, store: RunsFolder, folder: StudyFolder, trials: Iterable[RunRecord], *, formerly: str = ""
) -> SubprocessObserver:
    """Optuna's copy of the study, in `storage` or, when that is "", in RUNS/optuna.db; `trials` are those that it is to hold.

    `formerly` is what the study was called until this session renamed it: that copy goes.
    Raises Unavailable when the database cannot be reached, Mismatch when another study has the name there.
    """
    copy = SubprocessObserver(
        "orchestrator.observers.optuna:open_copy",
        copy_configuration(study, storage, store, folder, trials) | {"formerly": formerly},
        log=folder.logs / "optuna.log",
        copy=f"Optuna's copy of {study.name}",
        cure=mirror_command(folder, study),
        awaited=True,
    )
    try:
        with doing("waiting for the database of the published copy"):
            problem = copy.ready(SECONDS_TO_BEGIN)
        if problem is not None:
            raise _advised(problem.error())
    except BaseException:  # an interruption too: its process would never be ended
        copy.finish(0.0)
        raise
    return copy


def copy_configuration(
    study: StudyFile, storage: str, store: RunsFolder, folder: StudyFolder, trials: Iterable[RunRecord]
) -> dict[str, Any]:
    """What the process of the published copy is told of the study: a plain `CopyConfiguration`."""
    search = study.require_search()
    space, written = search.plan_content["space"], written_as_far_as_known(search.plan_content["recipe"]["trainer"])
    choices = {name: content["attributes"].get("choices", ()) for name, content in space.items()}
    return {
        "url": storage or sqlite_url(store.published.resolve()),
        "study": study.name,
        "uuid": study.uuid,
        "folder": recorded(folder.path),
        "owns_database": not storage,
        "recorded": [record.number for record in trials],
        "direction": search.plan_content["metric"]["direction"],
        "distributions": {name: dumps(content) for name, content in space.items()},
        "written": {name: [written(name, choice) for choice in given] for name, given in choices.items() if given},
    }


def _advised(error: OrchestrateError) -> OrchestrateError:
    if isinstance(error, Unavailable):
        return Unavailable(f"{error}. Nothing was begun; is the database running, and is --storage right?")
    return error


def open_mirror(study: StudyFile, folder: StudyFolder, mode: str, defaults: WandbDefaults) -> list[SubprocessObserver]:
    """The mirror in Weights & Biases; none when it is off. What goes wrong with it is a warning at the end."""
    if mode == "off":
        return []
    return [
        SubprocessObserver(
            "orchestrator.observers.wandb:open_mirror",
            {
                "study": study.name,
                "folder": str(folder.path.resolve()),
                "mode": mode,
                "uuid": study.uuid,
                "copied_from": list(study.copied_from),
                "project": defaults.project,
                "tags": list(defaults.tags) if defaults.tags is not None else None,
            },
            log=folder.logs / "wandb.log",
            copy=f"the W&B copy of {study.name}",
            cure=mirror_command(folder, study),
        )
    ]


@contextlib.contextmanager
def observing(observers: Sequence[Observer], say: Callable[[str], None]) -> Iterator[None]:
    """Let the observers complete their copies when the block is left; what they could not do is a warning."""
    seconds = SECONDS_WHEN_INTERRUPTED
    try:
        yield
        seconds = SECONDS_TO_FINISH
    finally:
        deadline = time.monotonic() + seconds
        with doing("completing the copies"):
            for observer in observers:
                warning = observer.finish(max(deadline - time.monotonic(), 0.0))
                if warning:
                    say(f"warning: {warning}")
