"""The progress of a study, from its records alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from orchestrator.record import INTERRUPTED, FailureKind, Kind, RunRecord, Status, best_complete
from orchestrator.storage.in_progress import RunInProgress, in_progress, run_seconds_left, search_seconds_left
from orchestrator.storage.in_progress import lines as in_progress_lines
from orchestrator.storage.lock import COPIES, FOLDER, TRIALS, Holder
from orchestrator.storage.progress import reached, shown_state, so_far
from orchestrator.storage.queue import SettingQueue
from orchestrator.storage.study_file import StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.durations import format_duration
from orchestrator.support.serialization import to_plain
from orchestrator.support.wording import several


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """A study, its runs, and who works on it now."""

    study: StudyFile
    trials: tuple[RunRecord, ...]
    retrains: tuple[RunRecord, ...]
    singles: tuple[RunRecord, ...] = ()
    holder: Holder | None  # who works on it now
    enqueued: int  # settings that wait to be tried
    active: tuple[RunInProgress, ...] = ()

    @property
    def best(self) -> RunRecord | None:
        """The best COMPLETE trial."""
        return best_complete(self.trials)

    @property
    def asked(self) -> int:
        """Finished trials that the study was asked for; 0 where there is no search."""
        return self.study.search.trials if self.study.search is not None else 0

    @property
    def finished(self) -> int:
        """Trials that are finished: COMPLETE, PRUNED or FAILED."""
        return sum(record.status.finished for record in self.trials)

    @property
    def exit_code(self) -> int:
        """1 when every trial failed."""
        return int(bool(self.trials) and all(record.status is Status.FAILED for record in self.trials))

    @property
    def seconds_left(self) -> float | None:
        """Seconds that what is trained now takes: the whole search, or a run. None where nothing is, or tells."""
        if not self.active:
            return None
        if any(run.run in {record.run_id for record in self.trials} for run in self.active):
            return search_seconds_left(self.trials, self.asked, self.active)
        return run_seconds_left(self.active[0])

    def state(self, record: RunRecord) -> str:
        """The state of one of the runs, as it is shown."""
        return shown_state(record, self.holder)

    def counts(self) -> str:
        """`25 COMPLETE, 15 PRUNED`."""
        return _counts(self._states())

    def plain(self) -> dict[str, Any]:
        """For --format json. `text` shows a part of this, and nothing else."""
        return {
            "study": self.study.name,
            "searches": self.study.search is not None,
            "conducted": self.holder is not None,
            "holder": to_plain(self.holder),
            "asked": self.asked,
            "finished": self.finished,
            "trials": self._states(),
            "best": self._best(),
            "failures": {kind.value: len(records) for kind, records in self._failures().items()},
            "last_failures": {kind.value: _last_failure(records) for kind, records in self._failures().items()},
            "setbacks": sum(len(record.setbacks) for record in self.trials),
            "replicates": sum(record.replicate_of is not None for record in self.trials),
            "enqueued": self.enqueued,
            "limits": to_plain(self.study.limits),
            "ended": self.study.ended,
            "retrains": {record.run_id: self.state(record) for record in self.retrains},
            "singles": {record.run_id: self.state(record) for record in self.singles},
            "runs": {record.run_id: self._run(record) for record in (*self.singles, *self.retrains)},
            "active": [run.plain() for run in self.active],
            "time_left_seconds": self.seconds_left,
        }

    def text(self) -> str:
        """For a person."""
        return "\n".join(_lines(self.plain()))

    def _states(self) -> dict[str, int]:
        """How many trials are in each state, as they are shown."""
        states = [self.state(record) for record in self.trials]
        return {name: states.count(name) for name in (*(status.value for status in Status), INTERRUPTED)}

    def _failures(self) -> dict[FailureKind, list[RunRecord]]:
        """The trials that FAILED, by why they did."""
        found: dict[FailureKind, list[RunRecord]] = {}
        for record in self.trials:
            if record.failure is not None:
                found.setdefault(record.failure.kind, []).append(record)
        return found

    def _best(self) -> dict[str, Any] | None:
        best, search = self.best, self.study.search
        if best is None or best.best is None:
            return None
        params, searched = best.recipe.params, search.plan_content.get("space", {}) if search is not None else {}
        return {
            "run": best.run_id,
            "metric": best.metric.name,
            best.metric.name: best.best.value,
            "epoch": best.best.epoch,
            "epochs": best.epochs,
            "of_epochs": best.recipe.epochs,
            "params": {name: to_plain(params[name]) for name in searched if name in params},
        }

    def _run(self, record: RunRecord) -> dict[str, Any]:
        """What is told of a single run or a retrain."""
        return {
            "state": self.state(record),
            "epochs": record.epochs,
            "of_epochs": record.recipe.epochs,
            "metric": record.metric.name,
            "best": record.best.value if record.best is not None else None,
            "best_epoch": record.best.epoch if record.best is not None else None,
            "test_acc": record.test.acc if record.test is not None else None,
            "failure": record.failure.message if record.failure is not None else None,
        }


def study_status(folder: StudyFolder, study: StudyFile | None = None) -> StudyStatus:
    """The state of a study; `study` is what study.json says or will say. Raises BadData for a damaged record."""
    records = [
        so_far(record, folder.folder(record).epochs()) if record.status is Status.RUNNING else record for record in folder.runs()
    ]
    trials, retrains, singles = (
        tuple(record for record in records if record.kind is kind) for kind in (Kind.TRIAL, Kind.RETRAIN, Kind.SINGLE)
    )
    holder = folder.holder()
    trained = [record for record in records if record.status is Status.RUNNING]
    active = [record for record in trained if holder is not None and holder.trains(record)]
    return StudyStatus(
        study=study or folder.read(),
        trials=trials,
        retrains=retrains,
        singles=singles,
        holder=holder,
        active=tuple(in_progress(record, folder.folder(record).epochs()) for record in active),
        enqueued=len(set(SettingQueue(folder).names()) - {record.enqueued for record in trials}),
    )


def _last_failure(records: Sequence[RunRecord]) -> dict[str, str]:
    last = records[-1]
    return {"run": last.run_id, "message": last.failure.message if last.failure is not None else ""}


def _counts(states: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in states.items() if number)


def _lines(found: Mapping[str, Any]) -> list[str]:
    """The lines for a person, from what is told to programs."""
    lines = [f"{found['study']}: single runs, no search"]
    if found["searches"]:
        counts = _counts(found["trials"]) or "none begun"
        lines = [f"{found['study']}: {found['finished']} of {found['asked']} trials finished ({counts})"]
    lines.append(_work(found))
    lines += in_progress_lines(found["active"], found["time_left_seconds"])
    if found["ended"]:
        lines.append(f"the last session ended early: {found['ended']}")
    for kind, number in found["failures"].items():
        last = found["last_failures"][kind]
        lines.append(f"{number} failed as {kind}, the last {last['run']}: {last['message']}")
    if found["setbacks"]:
        retries = "retry" if found["setbacks"] == 1 else "retries"
        lines.append(f"{found['setbacks']} {retries} after a crash, a hang or the loss of a worker")
    if found["replicates"]:
        replicate = "trial replicates" if found["replicates"] == 1 else "trials replicate"
        lines.append(f"{found['replicates']} {replicate} another with a fresh seed")
    if found["enqueued"]:
        lines.append(f"{several(found['enqueued'], 'enqueued setting')} waiting")
    if (best := found["best"]) is not None:
        far = reached(best["epochs"], best["of_epochs"], best["epoch"])
        lines.append(f"best {best['metric']} {best[best['metric']]:.4f}: {best['run']}, {far}")
    for run_id, run in found["runs"].items():
        best_value = f", best {run['metric']} {run['best']:.4f}" if run["best"] is not None else ""
        test = f", test_acc {run['test_acc']:.4f}" if run["test_acc"] is not None else ""
        failure = f": {run['failure']}" if run["failure"] is not None else ""
        far = reached(run["epochs"], run["of_epochs"], run["best_epoch"])
        lines.append(f"{run_id}: {run['state']}{failure}, {far}{best_value}{test}")
    return lines


def _work(found: Mapping[str, Any]) -> str:
    """Who works on what."""
    holder, limits = found["holder"], found["limits"]
    if holder is None:
        return "not running"
    since = f" since {holder['since']} on {holder['host']} (process {holder['process']})" if holder["process"] else ""
    if holder["work"] == COPIES:
        return f"its copies are being rebuilt{since}"
    if holder["work"] == FOLDER:
        return f"its folder is being renamed, archived or deleted{since}"
    if holder["work"] not in ("", TRIALS):
        return f"{holder['work']} is being trained{since}"
    budget = [f"budget {format_duration(limits['budget'])}"] if limits["budget"] is not None else []
    patience = [f"patience {limits['patience']} trials"] if limits["patience"] is not None else []
    return f"running{since}{''.join(f', {limit}' for limit in [*budget, *patience])}"
