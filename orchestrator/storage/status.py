"""The progress of a study, from its records alone."""

from dataclasses import dataclass
from typing import Any, final

from orchestrator.record import FailureKind, Kind, RunRecord, Status, best_complete
from orchestrator.storage.in_progress import RunInProgress, in_progress, run_seconds_left, search_seconds_left
from orchestrator.storage.in_progress import lines as in_progress_lines
from orchestrator.storage.queue import SettingQueue
from orchestrator.storage.study_file import StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.durations import format_duration
from orchestrator.support.serialization import to_plain


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """A study, its runs, and whether it is running now."""

    study: StudyFile
    trials: tuple[RunRecord, ...]
    retrains: tuple[RunRecord, ...]
    singles: tuple[RunRecord, ...] = ()
    running: bool  # whether a process works on it now
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
    def replicates(self) -> int:
        """Trials that train another's setting again."""
        return sum(record.replicate_of is not None for record in self.trials)

    def failures(self) -> dict[FailureKind, list[RunRecord]]:
        """The trials that FAILED, by why they did."""
        found: dict[FailureKind, list[RunRecord]] = {}
        for record in self.trials:
            if record.failure is not None:
                found.setdefault(record.failure.kind, []).append(record)
        return found

    def counts(self) -> str:
        """`25 COMPLETE, 15 PRUNED`; a RUNNING trial of a study that is not running was interrupted."""
        counted = {status: sum(record.status is status for record in self.trials) for status in Status}
        words = {status: status.value for status in Status}
        if not self.running:
            words[Status.RUNNING] = "interrupted"
        return ", ".join(f"{number} {words[status]}" for status, number in counted.items() if number)

    @property
    def seconds_left(self) -> float | None:
        """Seconds that what is trained now takes: the whole search, or a run. None where nothing is, or tells."""
        if not self.active:
            return None
        if any(run.run in {record.run_id for record in self.trials} for run in self.active):
            return search_seconds_left(self.trials, self.asked, self.active)
        return run_seconds_left(self.active[0])

    def plain(self) -> dict[str, Any]:
        """For --format json."""
        best = self.best
        return {
            "study": self.study.name,
            "conducted": self.running,
            "asked": self.asked,
            "finished": self.finished,
            "trials": {status.value: sum(record.status is status for record in self.trials) for status in Status},
            "best": None
            if best is None or best.best is None
            else {"run": best.run_id, best.metric.name: best.best.value, "epoch": best.best.epoch},
            "failures": {kind.value: len(records) for kind, records in self.failures().items()},
            "setbacks": sum(len(record.setbacks) for record in self.trials),
            "replicates": self.replicates,
            "enqueued": self.enqueued,
            "limits": to_plain(self.study.limits),
            "ended": self.study.ended,
            "active": [run.plain() for run in self.active],
            "time_left_seconds": self.seconds_left,
            "retrains": {record.run_id: record.status.value for record in self.retrains},
            "singles": {record.run_id: record.status.value for record in self.singles},
        }

    def text(self) -> str:
        """For a person."""
        lines = [
            f"{self.study.name}: {self.finished} of {self.asked} trials finished ({self.counts() or 'none begun'})"
            if self.study.search is not None
            else f"{self.study.name}: single runs, no search",
            f"running{self._limits()}" if self.running else "not running",
        ]
        lines += in_progress_lines([run.plain() for run in self.active], self.seconds_left)
        if self.study.ended:
            lines.append(f"the last session ended early: {self.study.ended}")
        for kind, records in self.failures().items():
            last = records[-1]
            lines.append(
                f"{len(records)} failed as {kind.value}, the last {last.run_id}: {last.failure.message if last.failure else ''}"
            )
        if setbacks := sum(len(record.setbacks) for record in self.trials):
            lines.append(f"{setbacks} retries after a crash, a hang or the loss of a worker")
        if self.replicates:
            lines.append(f"{self.replicates} trials replicate another with a fresh seed")
        if self.enqueued:
            lines.append(f"{self.enqueued} enqueued settings waiting")
        if self.best is not None and self.best.best is not None:
            lines.append(f"best {self.best.metric.name} {self.best.best.value:.4f}: {self.best.run_id}")
        for record in (*self.singles, *self.retrains):
            best = f", best {record.metric.name} {record.best.value:.4f}" if record.best is not None else ""
            test = f", test_acc {record.test.acc:.4f}" if record.test is not None else ""
            lines.append(f"{record.run_id}: {record.status}, {record.epochs} of {record.recipe.epochs} epochs{best}{test}")
        return "\n".join(lines)

    def _limits(self) -> str:
        limits = self.study.limits
        budget = [f"budget {format_duration(limits.budget)}"] if limits.budget is not None else []
        patience = [f"patience {limits.patience} trials"] if limits.patience is not None else []
        return "".join(f", {limit}" for limit in [*budget, *patience])


def study_status(folder: StudyFolder, study: StudyFile | None = None) -> StudyStatus:
    """The state of a study; `study` is what study.json says or will say. Raises BadData for a damaged record."""
    trials, retrains, singles = (tuple(folder.runs(kind)) for kind in (Kind.TRIAL, Kind.RETRAIN, Kind.SINGLE))
    running = folder.locked()
    active = [record for record in (*trials, *retrains, *singles) if running and record.status is Status.RUNNING]
    return StudyStatus(
        study=study or folder.read(),
        trials=trials,
        retrains=retrains,
        singles=singles,
        running=running,
        active=tuple(in_progress(record, folder.folder(record).epochs()) for record in active),
        enqueued=len(set(SettingQueue(folder).names()) - {record.enqueued for record in trials}),
    )
