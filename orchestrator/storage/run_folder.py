"""The folder of one run: its record, its epochs and its checkpoints."""

import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import replace as replaced
from pathlib import Path
from typing import final

from orchestrator.errors import BadData
from orchestrator.record import Epoch, RunRecord, check_duration
from orchestrator.storage.file_names import FileNames
from orchestrator.storage.json_files import read_json_as, write_json
from orchestrator.support.atomic_files import disk_errors, replace, sync_folder
from orchestrator.support.disk_lookups import content, is_file, is_folder, is_link, names_in
from orchestrator.support.serialization import dumps, from_plain, parse


@final
class RunFolder:
    """The folder of one run. `run_id` is what its place calls the run; "" where only its files matter."""

    def __init__(self, path: Path, run_id: str = "") -> None:
        self.path = path
        self.run_id = run_id
        self.record_file = path / FileNames.record
        self.epochs_file = path / FileNames.epochs
        self.last_checkpoint = path / FileNames.last_checkpoint
        self.best_checkpoint = path / FileNames.best_checkpoint
        self.submission = path / FileNames.submission
        self.classes = path / FileNames.classes
        self.images = path / FileNames.images

    def has_record(self) -> bool:
        """Whether there is a record. Raises DiskError."""
        return is_file(self.record_file)

    def without_record(self) -> str:
        """A file of a run whose record, the first to be written, is missing; "" where there is none. Raises DiskError."""
        files = (self.epochs_file, self.last_checkpoint, self.best_checkpoint)
        return next((file.name for file in files if is_file(file)), "")

    def write(self, record: RunRecord) -> None:
        """Replace the record. Raises DiskError."""
        with disk_errors(f"write {self.record_file}"):
            if not is_folder(self.path):
                self.path.parent.mkdir(exist_ok=True)  # never the study's own folder: it may have been moved or deleted
                self.path.mkdir()
                sync_folder(self.path.parent)
            write_json(self.record_file, record)

    def read(self) -> RunRecord:
        """The record, under the name that its place gives it. Raises MissingInput, BadData or DiskError."""
        return self.named(self.recorded())

    def recorded(self) -> RunRecord:
        """The record with the names of when it was written. Raises MissingInput, BadData or DiskError."""
        return read_json_as(RunRecord, self.record_file)

    def named(self, record: RunRecord) -> RunRecord:
        """The record under the name that its place gives it: a study may have been renamed or copied since it was written."""
        if self.run_id in ("", record.run_id):
            return record
        former, present = record.run_id.partition("/")[0], self.run_id.partition("/")[0]
        repeats = record.replicate_of
        if repeats is not None and repeats.startswith(f"{former}/"):
            repeats = f"{present}/{repeats.removeprefix(f'{former}/')}"
        return replaced(record, run_id=self.run_id, replicate_of=repeats)

    def append(self, epoch: Epoch) -> None:
        """Add one epoch, durably. Raises DiskError; a torn line that this leaves is dropped when read."""
        with disk_errors(f"write {self.epochs_file}"), self.epochs_file.open("ab") as stream:
            stream.write((dumps(epoch) + "\n").encode())
            stream.flush()
            os.fsync(stream.fileno())

    def epochs(self) -> list[Epoch]:
        """The recorded epochs, 1, 2, 3, …; a torn last line is left out. Raises BadData for any other damage, DiskError."""
        found: list[Epoch] = []
        for line in (content(self.epochs_file) or b"").split(b"\n")[:-1]:  # what follows the last line end is torn, or empty
            try:
                epoch = from_plain(Epoch, parse(line))
                check_duration("seconds", epoch.seconds)
            except (BadData, ValueError) as error:
                raise BadData(f"{self.epochs_file}, line {len(found) + 1}: {error}") from error
            if epoch.number != len(found) + 1:
                raise BadData(f"{self.epochs_file}, line {len(found) + 1}: holds epoch {epoch.number}")
            found.append(epoch)
        return found

    def replace_epochs(self, epochs: Sequence[Epoch]) -> None:
        """Replace the recorded epochs by these: what a new attempt trains again, or a torn line, is dropped."""
        with disk_errors(f"write {self.epochs_file}"):
            replace(self.epochs_file, "".join(dumps(epoch) + "\n" for epoch in epochs).encode())

    def attempt_folder(self, number: int) -> Path:
        """The folder without which this attempt's worker can replace no checkpoint."""
        return self.path / f"{FileNames.attempt}{number}"

    def begin_attempt(self, number: int) -> None:
        """Hand the checkpoints to this attempt, and fence off all earlier ones. Raises DiskError."""
        self.end_attempts()
        with disk_errors(f"write {self.path}"):
            self.attempt_folder(number).mkdir()

    def end_attempts(self) -> None:
        """Fence off every attempt: whatever an abandoned worker still does leaves nothing in this folder. Raises DiskError."""
        with disk_errors(f"clear {self.path}"):
            for name in names_in(self.path):
                if name.startswith(FileNames.attempt):  # by one rename, because a worker may be writing in it now
                    (self.path / name).rename(self.path / f"{FileNames.ended_attempt}{secrets.token_hex(8)}")
            for name in names_in(self.path):
                if name.startswith(FileNames.ended_attempt):
                    shutil.rmtree(self.path / name)

    @property
    def resumable(self) -> bool:
        """Whether there is a checkpoint to resume from. Raises DiskError."""
        return is_file(self.last_checkpoint)

    def delete_checkpoints(self, *, last: bool = True, best: bool = True) -> None:
        """Remove checkpoints that are no longer needed. Raises DiskError."""
        for path, wanted in ((self.last_checkpoint, last), (self.best_checkpoint, best)):
            if wanted:
                with disk_errors(f"delete {path}"):
                    path.unlink(missing_ok=True)


def refuse_link(folder: Path) -> None:
    """Raise BadData for a link, which this project never makes: what is deleted and written must lie in the runs folder."""
    if is_link(folder):
        raise BadData(f"{folder} is a link to somewhere else; move it away")


def run_name(run_id: str) -> str:
    """The folder's name in a run_id: "0007" of "part2/trials/0007"."""
    return run_id.rsplit("/", 1)[-1]
