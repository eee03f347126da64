"""The studies of a runs folder, a row for each: what they are, how far they came, who works on them, what they take."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.errors import BadData, MissingInput
from orchestrator.record import Kind, RunRecord, best_complete
from orchestrator.storage.lock import COPIES, FOLDER, TRIALS, Holder
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_file import StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.disk_lookups import bytes_below
from orchestrator.support.wording import in_bytes, moment

RUNNING, NOT_RUNNING, ENDED, DAMAGED = "running", "not running", "ended early", "damaged"

COLUMNS = (
    *("study", "plan", "dataset", "trials", "asked", "runs", "state", "ended", "process", "host", "since", "work"),
    *("metric", "best", "best_run", "created", "bytes"),
)
_WORK = {"": RUNNING, TRIALS: RUNNING, COPIES: "its copies are rebuilt", FOLDER: "its folder is renamed, archived or deleted"}


def listed(store: RunsFolder, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """The rows of all studies, the one that was worked on last first; None where something is not known.

    `asked` is 0 where nothing is searched; `best` is that of the COMPLETE trials, or of single runs that can be compared. A
    damaged study has a row, and a line to `say`. Raises DiskError.
    """
    folders = [store.study(name) for name in store.studies()]
    rows = []
    for folder in sorted(folders, key=lambda folder: (-folder.worked_on(), folder.name)):
        try:
            found = _row(folder)
        except BadData as error:
            say(f"warning: {error}")
            found = _damaged(folder)
        except MissingInput:
            if folder.has_begun():
                raise
            continue  # it was deleted meanwhile
        rows.append(found)
    return rows


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as a person reads it."""
    return {
        "study": row["study"],
        "plan": row["plan"].rpartition("/")[2].removesuffix(".py") if row["plan"] is not None else None,
        "dataset": row["dataset"],
        "trials": f"{row['trials']}/{row['asked']}" if row["asked"] else "",
        "runs": row["runs"],
        "state": _state(row),
        "best": f"{row['metric']} {row['best']:.4f}" if row["best"] is not None else "",
        "created": moment(datetime.fromisoformat(row["created"]).timestamp()) if row["created"] is not None else "",
        "size": in_bytes(row["bytes"]),
    }


def _state(row: Mapping[str, Any]) -> str:
    if row["state"] == ENDED:
        return f"{ENDED}: {row['ended']}"
    if row["state"] != RUNNING:
        return str(row["state"])
    by = f", by process {row['process']} on {row['host']} since {row['since']}" if row["process"] else ""
    return _WORK.get(row["work"], f"trains {row['work']}") + by


def _row(folder: StudyFolder) -> dict[str, Any]:
    study, records, holder = folder.read(), folder.runs(), folder.holder()
    trials = [record for record in records if record.kind is Kind.TRIAL]
    best = best_complete(trials if study.search is not None else _comparable(records))
    known = best.best if best is not None else None
    return {
        "study": folder.name,
        "plan": study.search.plan if study.search is not None else "",
        "dataset": study.search.options.dataset if study.search is not None else ", ".join(_datasets(records)),
        "trials": sum(record.status.finished for record in trials),
        "asked": study.search.trials if study.search is not None else 0,
        "runs": len(records),
        **_work(study, holder),
        "metric": best.metric.name if best is not None else None,
        "best": known.value if known is not None else None,
        "best_run": best.run_id if best is not None else None,
        "created": _time(study.created),
        "bytes": bytes_below(folder.path),
    }


def _work(study: StudyFile, holder: Holder | None) -> dict[str, Any]:
    return {
        "state": RUNNING if holder is not None else ENDED if study.ended else NOT_RUNNING,
        "ended": study.ended,
        "process": holder.process if holder is not None else None,
        "host": holder.host if holder is not None else None,
        "since": holder.since if holder is not None else None,
        "work": holder.work if holder is not None else None,
    }


def _damaged(folder: StudyFolder) -> dict[str, Any]:
    unknown: dict[str, Any] = dict.fromkeys(COLUMNS)
    return unknown | {"study": folder.name, "state": DAMAGED, "bytes": bytes_below(folder.path)}


def _comparable(records: Sequence[RunRecord]) -> Sequence[RunRecord]:
    """The single runs, if all have one data set and one metric."""
    singles = [record for record in records if record.kind is Kind.SINGLE]
    first = singles[0] if singles else None
    same = all((one.recipe.dataset, one.metric) == (first.recipe.dataset, first.metric) for one in singles) if first else False
    return singles if same else []


def _datasets(records: Sequence[RunRecord]) -> list[str]:
    return sorted({record.recipe.dataset for record in records})


def _time(seconds: float) -> str | None:
    """ISO 8601, UTC; None for what is no time."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None
