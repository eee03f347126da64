"""Run folders, the only truth: this module alone knows the names of the files in them.

    RUNS/STUDY/study.json                    what the study is; study.lock beside it dies with its process
    RUNS/STUDY/enqueued/….json               settings that wait to be tried; stop beside it asks the conductor to end
    RUNS/STUDY/trials/0007/record.json       replaced atomically; its finished status is the commit
                           epochs.jsonl      one epoch a line, appended; a torn last line is dropped when read
                           last.pt best.pt   to resume, to predict
                           attempt-2/        while the run's second job may replace them
    RUNS/STUDY/retrain/0007-1a2b3c4d/        the same files, submission.csv, and the names in it: classes.csv, images.csv
    RUNS/train/single/resnet18-…-1a2b3c4d/   a run of a recipe without a search; study.json beside it names no plan

Only the conductor's process writes records and epochs; only the worker that holds the current attempt writes checkpoints.
A worker writes a checkpoint in its attempt's folder and renames it from there, so that taking that folder away fences it off
wherever it is stopped: there is no moment between looking whether it may and doing it.
"""

from pathlib import Path
from typing import final

from orchestrator.errors import MissingInput, UnknownName
from orchestrator.record import Kind
from orchestrator.storage.run_folder import RunFolder, refuse_link
from orchestrator.storage.study_folder import FOLDERS, StudyFolder


@final
class RunsFolder:
    """The runs folder: all studies."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.published = runs / "optuna.db"  # Optuna's copy of all studies

    def study(self, name: str) -> StudyFolder:
        """The folder of a study, which may not have begun. Raises InvalidInput for what cannot be a name, BadData for a link."""
        study = StudyFolder(self.runs, name)
        refuse_link(study.path)
        return study

    def known(self, name: str) -> StudyFolder:
        """The folder of a study that has begun. Raises UnknownName."""
        study = self.study(name)
        if not study.exists():
            raise UnknownName("study", name, self.studies(), f"the runs folder is {self.runs}")
        return study

    def studies(self) -> list[str]:
        """The names of all studies that have begun."""
        return sorted(file.parent.name for file in self.runs.glob("*/study.json") if not file.parent.is_symlink())

    def latest(self, *, search: bool = False) -> StudyFolder:
        """The study that was worked on last; with `search` one that holds more than single runs. Raises MissingInput."""
        for name in sorted(self.studies(), key=self._touched, reverse=True):
            study = self.study(name)
            if not search or study.read().searches:
                return study
        raise MissingInput(f"there is no study in {self.runs}; begin one with: orchestrate study PLAN --trials N")

    def find_run(self, run_id: str) -> tuple[StudyFolder, RunFolder]:
        """The run that `run_id` names, `part2/trials/0007` or `part2/7`. Raises UnknownName, with those that exist."""
        parts = run_id.strip("/").split("/")
        if len(parts) == 2 and parts[1].isdecimal():
            parts = [parts[0], FOLDERS[Kind.TRIAL], f"{int(parts[1]):04d}"]
        study = self.known(parts[0])
        kinds = {folder: kind for kind, folder in FOLDERS.items()}
        if len(parts) == 3 and parts[1] in kinds:
            run = study.run(kinds[parts[1]], parts[2])
            if run.has_record():
                return study, run
        raise UnknownName("run", run_id, [record.run_id for record in study.runs()])

    def _touched(self, name: str) -> float:
        study = self.study(name)
        return max(file.stat().st_mtime for file in (study.study_file, study.lock_file) if file.exists())
