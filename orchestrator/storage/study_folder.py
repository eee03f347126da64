"""The folder of one study: study.json, its lock, its runs."""

import contextlib
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, final

from orchestrator.errors import BadData, InvalidInput, OrchestrateError, TryAgainLater
from orchestrator.record import Kind, RunRecord
from orchestrator.storage.run_folder import RunFolder, read_json_as, refuse_link, run_name
from orchestrator.storage.study_file import StudyFile
from orchestrator.support.atomic_files import disk_errors, replace
from orchestrator.support.names import checked_name
from orchestrator.support.serialization import shortened, to_plain

_SECONDS_TO_LOCK = 0.5

FOLDERS = {Kind.TRIAL: "trials", Kind.CONFIRM: "confirm", Kind.RETRAIN: "retrain", Kind.SINGLE: "single"}


@final
class StudyFolder:
    """The folder of one study."""

    def __init__(self, runs: Path, name: str) -> None:
        self.name = checked_name(name, "study")
        self.path = runs / name
        self.study_file = self.path / "study.json"
        self.lock_file = self.path / "study.lock"
        self.enqueued = self.path / "enqueued"  # settings that wait to be tried, a file each
        self.stop_file = self.path / "stop"
        self.logs = self.path / "logs"  # what workers and observers print

    def exists(self) -> bool:
        """Whether a study was begun here."""
        return self.study_file.is_file()

    def write(self, study: StudyFile) -> None:
        """Replace study.json. Raises DiskError."""
        with disk_errors(f"write {self.study_file}"):
            self.path.mkdir(parents=True, exist_ok=True)
            replace(self.study_file, (json.dumps(to_plain(study), indent=1, ensure_ascii=False) + "\n").encode())

    def read(self) -> StudyFile:
        """What study.json says. Raises MissingInput or BadData."""
        return read_json_as(StudyFile, self.study_file)

    def search(self, instead: str) -> StudyFile:
        """The same, of a study that searches. Raises InvalidInput with what to do `instead` where it holds single runs only."""
        study = self.read()
        if not study.searches:
            raise InvalidInput(f"{self.name!r} is no search, it holds single runs: {instead}")
        return study

    def run(self, kind: Kind, name: str) -> RunFolder:
        """The folder of a run of this study: `run(Kind.TRIAL, "0007")`."""
        path = self.path / FOLDERS[kind] / checked_name(name, "run")
        refuse_link(path)
        return RunFolder(path)

    def folder(self, record: RunRecord) -> RunFolder:
        """The folder of the run that this record is of."""
        return self.run(record.kind, run_name(record.run_id))

    def run_id(self, kind: Kind, name: str) -> str:
        """How a run is called on the command line and in messages: `part2/trials/0007`."""
        return f"{self.name}/{FOLDERS[kind]}/{name}"

    def runs(self, *kinds: Kind) -> list[RunRecord]:
        """The records of all runs of these kinds (of all kinds when none is named), in the order of their names.

        A folder without a record is a run that never began: it is left out. Raises BadData for a damaged record, for one
        that belongs to another folder, so that no copied folder counts as a run of its own, and for a link.
        """
        found = []
        for kind in kinds or tuple(Kind):
            for folder in sorted((self.path / FOLDERS[kind]).glob("*/")):
                refuse_link(folder)
                run = RunFolder(folder)
                if run.has_record():
                    record = run.read()
                    named = f"{record.number:04d}" if kind is Kind.TRIAL else folder.name
                    if (record.kind, run_name(record.run_id), named) != (kind, folder.name, folder.name):
                        raise BadData(f"{run.record_file} is the record of {shortened(record.run_id)}; move {folder} away")
                    found.append(record)
        return found

    @contextlib.contextmanager
    def replaced(self, study: StudyFile) -> Iterator[None]:
        """Replace study.json; if the block raises an error of this project, it says again what it said before.

        Raises DiskError.
        """
        before = self.study_file.read_bytes() if self.exists() else None
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
    def lock(self) -> Iterator[None]:
        """Hold the study for this process; the operating system lets go when the process dies.

        What `request_stop` asked before does not count. A study that was not begun in the meantime leaves nothing behind. Raises
        TryAgainLater naming the holder.
        """
        first = not self.path.parent.exists()
        with disk_errors(f"write {self.lock_file}"):
            self.path.mkdir(parents=True, exist_ok=True)
            # Not through a link: what it leads to would be overwritten.
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            stream = os.fdopen(os.open(self.lock_file, flags, 0o666), "ab", buffering=0)
        with contextlib.ExitStack() as held:
            held.enter_context(stream)
            if not (hold(stream) and self._is_lock(stream.fileno())):  # held, or removed between opening and holding it
                raise self._held()
            self.clear_stop_request()  # which was asked of an earlier session
            held.callback(self._remove_if_not_begun, runs_too=first)
            started = time.strftime("%Y-%m-%d %H:%M:%S")
            holder = json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": started})
            with disk_errors(f"write {self.lock_file}"):
                stream.truncate(0)
                stream.write(holder.encode())
            yield

    def _is_lock(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.lock_file.stat())
        except FileNotFoundError:
            return False

    def _remove_if_not_begun(self, *, runs_too: bool) -> None:
        """Remove what this process made for a study that has not begun; `runs_too` if that was the runs folder as well."""
        if not self.exists():
            with contextlib.suppress(OSError):  # what somebody else put there stays, and so do the folders around it
                shutil.rmtree(self.logs, ignore_errors=True)
                self.lock_file.unlink()
                self.path.rmdir()
                if runs_too:
                    self.path.parent.rmdir()

    def request_stop(self) -> None:
        """Ask the conductor that holds the study to end its session. Raises DiskError."""
        with disk_errors(f"write {self.stop_file}"):
            self.stop_file.touch()

    def stop_requested(self) -> bool:
        """Whether somebody has asked."""
        return self.stop_file.exists()

    def clear_stop_request(self) -> None:
        """Take the request back: a new session was not asked to stop. Raises DiskError."""
        with disk_errors(f"delete {self.stop_file}"):
            self.stop_file.unlink(missing_ok=True)

    def refuse_if_locked(self) -> None:
        """Raise TryAgainLater now if `lock` would."""
        if self.locked():
            raise self._held()

    def _held(self) -> TryAgainLater:
        return TryAgainLater(
            f"study {self.name!r} is being run by {_holder(self.lock_file)}; wait for it, or stop it, then try again"
        )

    def locked(self) -> bool:
        """Whether a conductor works on this study now."""
        try:
            with self.lock_file.open("r") as stream:
                try:
                    fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return True
        except OSError:
            return False
        return False


def hold(stream: IO[bytes]) -> bool:
    """Whether the lock could be had. `locked` takes it for a moment too, so one refusal says nothing yet."""
    deadline = time.monotonic() + _SECONDS_TO_LOCK
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)


def _holder(lock_file: Path) -> str:
    try:
        holder = json.loads(lock_file.read_text())
        return f"process {holder['process']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError):
        return "another process"
