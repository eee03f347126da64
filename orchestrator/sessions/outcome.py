"""What a session of a study left, for the one who called it: the command prints it, and Python is given it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from orchestrator.sessions.study import plain
from orchestrator.storage.status import StudyStatus, study_status
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.serialization import freeze

if TYPE_CHECKING:
    from orchestrator.sessions.dry_run import DryRun


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOutcome:
    """The state of a study after a session, or before one that a dry run plans. Accuracies are fractions."""

    study: str  # its name
    folder: Path
    finished: int  # trials that are COMPLETE, PRUNED or FAILED
    asked: int  # trials that it was asked for
    best: str | None  # the best COMPLETE trial, "part2/trials/0007"; None where there is none
    params: Mapping[str, Any]  # the sampled hyperparameters of that trial
    metric: str  # by which trials are compared: "val_acc"
    value: float | None  # of that metric, of the best trial
    exit_code: int  # of the command: 1 where every trial failed, else 0
    ended: str  # why the session ended with fewer trials than asked for; "" where it did not
    details: Mapping[str, Any]  # what the command prints with --format json
    planned: str = ""  # what a dry run would do, for a person

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", freeze(self.params))
        object.__setattr__(self, "details", freeze(self.details))


def outcome_of(status: StudyStatus, runs: Path) -> StudyOutcome:
    """The outcome of a session after which the study is in this state."""
    return _outcome(status, runs, plain(status), status.exit_code, "")


def outcome_of_dry_run(planned: "DryRun", runs: Path) -> StudyOutcome:
    """The outcome of a dry run, which changes nothing."""
    folder: StudyFolder = planned.opened.folder
    return _outcome(study_status(folder, planned.opened.file), runs, planned.plain(), 0, planned.text())


def _outcome(status: StudyStatus, runs: Path, details: Mapping[str, Any], exit_code: int, planned: str) -> StudyOutcome:
    best = status.plain()["best"]
    metric = str(status.study.require_search().plan_content["metric"]["name"])
    return StudyOutcome(
        study=status.study.name,
        folder=runs / status.study.name,
        finished=status.finished,
        asked=status.asked,
        best=best["run"] if best is not None else None,
        params=best["params"] if best is not None else {},
        metric=metric,
        value=best[metric] if best is not None else None,
        exit_code=exit_code,
        ended=status.study.ended,
        details=details,
        planned=planned,
    )
