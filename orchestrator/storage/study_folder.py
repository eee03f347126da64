"""The folder of one study: study.json, its lock, its runs."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace as replaced
from pathlib import Path
from typing import final

from orchestrator.errors import BadData, DiskError, OrchestrateError
from orchestrator.record import Kind, RunRecord
from orchestrator.storage.file_names import FOLDERS, FileNames
from orchestrator.storage.json_files import read_json_as, write_json
from orchestrator.storage.lock import TRIALS, Holder, StudyLock
from orchestrator.storage.run_folder import RunFolder, refuse_link, run_name
from orchestrator.storage.study_file import StudyFile, readable
from orchestrator.support.atomic_files import disk_errors, replace
from orchestrator.support.disk_lookups import content, folders_in, is_file, is_there, names_in, status
from orchestrator.support.names import NAME, checked_name
from orchestrator.support.serialization import shortened
from orchestrator.support.wording import one_line, several


@final
class StudyFolder:
    """The folder of one study."""

    def __init__(self, runs: Path, name: str) -> None:
        self.name = checked_name(name, "study")
        self.path = runs / name
        self.study_file = self.path / FileNames.study
        self.lock_file = self.path / FileNames.lock
        self.enqueued = self.path / FileNames.enqueued  # settings that wait to be tried, a file each
        self.stop_file = self.path / FileNames.stop
        self.logs = self.path / FileNames.logs  # what workers and observers print
        self._lock = StudyLock(self.lock_file, name)

    def has_begun(self) -> bool:
        """Whether a study was begun here. Raises DiskError."""
        return is_file(self.study_file)

    def write(self, study: StudyFile) -> None:
        """Replace study.json. Raises DiskError."""
        with disk_errors(f"write {self.study_file}"):
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.study_file, study)

    def update(self, study: StudyFile) -> None:
        """Replace study.json where it says something else. Raises BadData or DiskError."""
        if not self.has_begun() or self.recorded() != study:
            self.write(study)

    def read(self) -> StudyFile:
        """What study.json says, under the name that the folder has now. Raises MissingInput, BadData or DiskError."""
        return replaced(self.recorded(), name=self.name)

    def recorded(self) -> StudyFile:
        """What study.json says, its name included. Raises MissingInput, BadData or DiskError."""
        return read_json_as(StudyFile, self.study_file, upgrade=readable)

    def run(self, kind: Kind, name: str) -> RunFolder:
        """The folder of a run of this study: `run(Kind.TRIAL, "0007")`."""
        path = self.path / FOLDERS[kind] / checked_name(name, "run")
        refuse_link(path)
        return RunFolder(path, self.run_id(kind, name))

    def folder(self, record: RunRecord) -> RunFolder:
        """The folder of the run that this record is of."""
        return self.run(record.kind, run_name(record.run_id))

    def run_id(self, kind: Kind, name: str) -> str:
        """How a run is called on the command line and in messages: `part2/trials/0007`."""
        return f"{self.name}/{FOLDERS[kind]}/{name}"

    def runs(self, *kinds: Kind) -> list[RunRecord]:
        """The records of all runs of these kinds (of all kinds when none is named), in the order of their names.

        A folder without a record is a run that never began; it is left out. Raises BadData for a damaged record, for one
        that belongs to another folder or study, so that no copied folder counts as a run of its own, and for a link; for a
        record, or study.json, that is missing where there is more of the run, or of the study; DiskError.
        """
        found: list[RunRecord] = []
        uuids = self._uuids()
        for kind in kinds or tuple(Kind):
            for folder in folders_in(self.path / FOLDERS[kind]):
                refuse_link(folder)
                run = RunFolder(folder, self.run_id(kind, folder.name))
                if run.has_record():
                    record = run.recorded()
                    _refuse_foreign(record, kind, run, uuids)
                    found.append(run.named(record))
                elif trained := run.without_record():
                    raise BadData(f"{run.record_file} is missing beside {trained}; restore it, or move {folder} away")
        if found and not uuids:
            runs = several(len(found), "recorded run")
            raise BadData(f"{self.study_file} is missing beside {runs}; restore it, or move {self.path} away")
        return found

    def refuse_foreign(self, kind: Kind, run: RunFolder) -> None:
        """Raise BadData for a record that belongs to another folder or study, as `runs` does."""
        _refuse_foreign(run.recorded(), kind, run, self._uuids())

    def _uuids(self) -> set[str]:
        """What the study was called in its records, also before it was copied; empty where study.json is missing."""
        if not self.has_begun():
            return set()
        study = self.recorded()
        return {study.uuid, *study.copied_from}

    @contextlib.contextmanager
    def writing(self, study: StudyFile) -> Iterator[None]:
        """Replace study.json; if the block raises an error of this project, restore what was there before.

        Raises DiskError.
        """
        before = content(self.study_file)
        self.write(study)
        try:
            yield
        except OrchestrateError:
            with disk_errors(f"write {self.study_file}"):
                if before is None:
                    self.study_file.unlink()
                else:
                    replace(self.study_file, before)
            raise

    @contextlib.contextmanager
    def lock(self, work: str = TRIALS, *, used: bool = True) -> Iterator[Callable[[str], None]]:
        """Hold the study for this process; the operating system releases it when the process dies.

        `work` is what this process works on, as `Holder` says it; calling what this gives changes it. An earlier `request_stop`
        no longer counts. A study that was not begun in the meantime leaves nothing in the runs folder. With `used` it is from now
        on the one that was worked on last. Raises TryAgainLater naming the holder, or DiskError.
        """
        first = not is_there(self.path.parent)
        with contextlib.ExitStack() as held:
            before = _modified(self.lock_file)
            write_holder = held.enter_context(self._lock.held())
            held.callback(self._remove_if_not_begun, runs_too=first)
            self.clear_stop_request()
            write_holder(work)
            if used:
                self._become_latest()
            else:
                held.callback(self._was_worked_on, before)
            yield write_holder

    def worked_on(self) -> int:
        """When the study was worked on last, in nanoseconds since 1970-01-01 UTC; 0 for none. Raises DiskError."""
        return max(map(_modified, (self.study_file, self.lock_file)))

    def _become_latest(self) -> None:
        """Be the study that was worked on last, also where the clock was set back since another one was. Raises DiskError."""
        newest = 0
        for name in filter(NAME.fullmatch, names_in(self.path.parent)):
            with contextlib.suppress(DiskError):  # somebody else's study that cannot be read is no reason to refuse this one
                newest = max(newest, StudyFolder(self.path.parent, name).worked_on())
        moment = max(time.time_ns(), newest + 1)
        with disk_errors(f"write {self.lock_file}"):
            os.utime(self.lock_file, ns=(moment, moment))

    def _was_worked_on(self, moment: int) -> None:
        """Be worked on last at this moment, as `worked_on` gives it; not where the folder is called otherwise by now."""
        with contextlib.suppress(OSError, DiskError):
            if not self._lock.is_lost():
                os.utime(self.lock_file, ns=(moment, moment))

    def refuse_if_locked(self) -> None:
        """Raise TryAgainLater now if `lock` would."""
        self._lock.refuse_if_locked()

    def locked(self) -> bool:
        """Whether a process works on this study now. Raises DiskError."""
        return self._lock.locked()

    def holder(self) -> Holder | None:
        """Who works on this study now, and on which of its runs; None for nobody. Raises DiskError."""
        return self._lock.holder()

    def _remove_if_not_begun(self, *, runs_too: bool) -> None:
        """Remove what this process made for a study that has not begun; `runs_too` if that was the runs folder as well."""
        # Files of others stay, and so do the folders around them; in doubt everything does.
        with contextlib.suppress(OSError, DiskError):
            if not self.has_begun() and not self._lock.is_lost():
                shutil.rmtree(self.logs, ignore_errors=True)
                self.lock_file.unlink()
                self.path.rmdir()
                if runs_too:
                    self.path.parent.rmdir()

    def request_stop(self) -> None:
        """Ask the process that holds the study to end its session. Raises DiskError."""
        with disk_errors(f"write {self.stop_file}"):
            self.stop_file.touch()

    def stop_requested(self) -> bool:
        """Whether the session was asked to end.

        Raises DiskError, also where the folder, or its lock, is not the one any more that this process holds: what is recorded
        from now on would be lost, or mixed with what another process records.
        """
        if self._lock.is_lost():
            raise DiskError(
                f"{self.path} or its lock was moved or deleted while this command worked on it, so it ends; "
                "put the folder back, then run the same command"
            )
        return is_there(self.stop_file)

    def clear_stop_request(self) -> None:
        """Remove the request: it was made of an earlier session. Raises DiskError."""
        with disk_errors(f"delete {self.stop_file}"):
            self.stop_file.unlink(missing_ok=True)


def _modified(file: Path) -> int:
    """When a file was written last, in nanoseconds since 1970-01-01 UTC; 0 for none. Raises DiskError."""
    found = status(file)
    return found.st_mtime_ns if found is not None else 0


def _refuse_foreign(record: RunRecord, kind: Kind, run: RunFolder, uuids: Collection[str]) -> None:
    """Raise BadData for a record of another folder, or of a study that has none of these uuids, where there are any."""
    name = run.path.name
    named = f"{record.number:04d}" if kind is Kind.TRIAL else name
    if (record.kind, run_name(record.run_id), named) != (kind, name, name):
        raise BadData(f"{run.record_file} is the record of {one_line(shortened(record.run_id))}; move {run.path} away")
    if uuids and record.provenance.study not in uuids:
        raise BadData(f"{run.record_file} is the record of a run of another study; move {run.path} away")
