"""How far a study is, from its records alone."""

from dataclasses import dataclass
from typing import Any, final

from orchestrator.record import Kind, RunRecord, Status
from orchestrator.store import StudyFile, StudyFolder


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A study, its runs, and whether a conductor works on it now."""

    study: StudyFile
    trials: tuple[RunRecord, ...]
    retrains: tuple[RunRecord, ...]
    conducted: bool

    @property
    def best(self) -> RunRecord | None:
        """The best COMPLETE trial."""
        complete = [record for record in self.trials if record.status is Status.COMPLETE]
        return min(complete, key=RunRecord.order, default=None)

    @property
    def finished(self) -> int:
        """Trials of which nothing more will come."""
        return sum(record.status.finished for record in self.trials)

    @property
    def exit_code(self) -> int:
        """1 when every trial failed."""
        return int(bool(self.trials) and all(record.status is Status.FAILED for record in self.trials))

    def counts(self) -> str:
        """`25 COMPLETE, 15 PRUNED`; a RUNNING trial without a conductor was interrupted."""
        counted = {status: sum(record.status is status for record in self.trials) for status in Status}
        words = {status: status.value for status in Status}
        if not self.conducted:
            words[Status.RUNNING] = "interrupted"
        return ", ".join(f"{number} {words[status]}" for status, number in counted.items() if number)

    def plain(self) -> dict[str, Any]:
        """For --format json."""
        best = self.best
        return {
            "study": self.study.name,
            "conducted": self.conducted,
            "asked": self.study.trials,
            "finished": self.finished,
            "trials": {status.value: sum(record.status is status for record in self.trials) for status in Status},
            "best": None
            if best is None or best.best is None
            else {"run": best.run_id, best.metric.name: best.best.value, "epoch": best.best.epoch},
            "retrains": {record.run_id: record.status.value for record in self.retrains},
        }

    def text(self) -> str:
        """For a person."""
        lines = [
            f"{self.study.name}: {self.finished} of {self.study.trials} trials finished ({self.counts() or 'none begun'})",
            "being conducted now" if self.conducted else "nobody is working on it",
        ]
        if self.best is not None and self.best.best is not None:
            lines.append(f"best {self.best.metric.name} {self.best.best.value:.4f}: {self.best.run_id}")
        for record in self.retrains:
            test = f", test_acc {record.test.acc:.4f}" if record.test is not None else ""
            lines.append(f"{record.run_id}: {record.status}, {record.epochs} of {record.recipe.epochs} epochs{test}")
        return "\n".join(lines)


def state(folder: StudyFolder, study: StudyFile | None = None) -> State:
    """The state of a study; `study` is what study.json says or will say. Raises BadData for a damaged record."""
    return State(
        study=study or folder.read(),
        trials=tuple(folder.runs(Kind.TRIAL)),
        retrains=tuple(folder.runs(Kind.RETRAIN)),
        conducted=folder.locked(),
    )
