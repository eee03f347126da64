"""The runs folder: its studies, and its runs by their ids."""

import re
from pathlib import Path
from typing import final

from orchestrator.errors import InvalidInput, MissingInput, UnknownName
from orchestrator.record import Kind
from orchestrator.storage.commands import command
from orchestrator.storage.file_names import FOLDERS, FileNames
from orchestrator.storage.run_folder import RunFolder, refuse_link
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.disk_lookups import folders_in, is_file, is_link
from orchestrator.support.names import NAME


@final
class RunsFolder:
    """The runs folder: all studies."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.published = runs / FileNames.published  # Optuna's copy of all studies

    def study(self, name: str) -> StudyFolder:
        """The folder of a study, which may not have begun. Raises InvalidInput for what cannot be a name, BadData for a link."""
        if name.startswith(FileNames.published):
            raise InvalidInput(f"{name!r} cannot be the name of a study: {self.published} is the published copy of all studies")
        study = StudyFolder(self.runs, name)
        refuse_link(study.path)
        return study

    def known(self, name: str) -> StudyFolder:
        """The folder of a study that has begun. Raises UnknownName."""
        study = self.study(name)
        if not study.has_begun():
            raise UnknownName("study", name, self.studies(), f"the runs folder is {self.runs}")
        return study

    def studies(self) -> list[str]:
        """The names of all studies that have begun. Raises DiskError, also where a study's folder cannot be read."""
        folders = [folder for folder in folders_in(self.runs) if _may_be_study(folder.name) and not is_link(folder)]
        return [folder.name for folder in folders if is_file(folder / FileNames.study)]

    def latest(self, *, search: bool = False) -> StudyFolder:
        """The study that was worked on last; with `search` one that holds more than single runs. Raises MissingInput."""
        for name in sorted(self.studies(), key=self._worked_on, reverse=True):
            study = self.study(name)
            if not search or study.read().search is not None:
                return study
        raise MissingInput(
            f"there is no study in {self.runs}; begin one with: {command(self.runs, 'study', 'PLAN', '--trials', 'N')}"
        )

    def find_run(self, run_id: str) -> tuple[StudyFolder, RunFolder]:
        """The run that `run_id` names: `part2/trials/0007`, `part2/7`, the path of its folder; or a study that has one run only.

        Raises UnknownName, with those that exist, BadData as `StudyFolder.runs` does, or DiskError.
        """
        parts = run_id.removeprefix(f"{self.runs}/").strip("/").split("/")
        if len(parts) == 2:
            parts = [parts[0], FOLDERS[Kind.TRIAL], parts[1]] if _is_number(parts[1]) else parts
        if len(parts) == 3 and parts[1] == FOLDERS[Kind.TRIAL] and _is_number(parts[2]):
            parts = [*parts[:2], f"{int(parts[2]):04d}"]
        study = self.known(parts[0])
        if len(parts) == 1 and len(runs := study.runs()) == 1:
            parts = runs[0].run_id.split("/")
        kinds = {folder: kind for kind, folder in FOLDERS.items()}
        if len(parts) == 3 and parts[1] in kinds:
            run = study.run(kinds[parts[1]], parts[2])
            if run.has_record():
                study.refuse_foreign(kinds[parts[1]], run)
                return study, run
        raise UnknownName("run", run_id, [record.run_id for record in study.runs()])

    def _worked_on(self, name: str) -> int:
        return self.study(name).worked_on()


def _is_number(word: str) -> bool:
    return re.fullmatch("[0-9]{1,18}", word) is not None


def study_around(file: Path) -> Path | None:
    """The folder of the study or run that a file lies in, wherever links lead, or the runs folder of a published copy.

    None for a file that is nobody's. Raises DiskError.
    """
    folder = file.absolute().parent.resolve()
    if file.name.startswith(FileNames.published) and RunsFolder(folder).studies():
        return folder
    owners = (FileNames.study, FileNames.record)
    return next((place for place in (folder, *folder.parents) if any(is_file(place / name) for name in owners)), None)


def _may_be_study(name: str) -> bool:
    """Whether a folder of this name can be a study's. Files beside the database are called like it, too."""
    return NAME.fullmatch(name) is not None and not name.startswith(FileNames.published)
