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

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar, final

from orchestrator.errors import BadData, InvalidInput, MissingInput, OrchestrateError, TryAgainLater, UnknownName
from orchestrator.files import disk_errors, replace, sync_folder
from orchestrator.limits import Limits
from orchestrator.plain import dumps, freeze, from_plain, parse, shortened, to_plain
from orchestrator.record import Epoch, Kind, RunRecord
from orchestrator.settings import StudyOptions, checked_name

T = TypeVar("T")

_SECONDS_TO_LOCK = 0.5
_ATTEMPT, _ENDED = "attempt-", "ended-"

_FOLDERS = {Kind.TRIAL: "trials", Kind.CONFIRM: "confirm", Kind.RETRAIN: "retrain", Kind.SINGLE: "single"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFile:
    """The content of study.json: what the study is, and how long it was asked to run."""

    uuid: str
    name: str
    plan: str  # the plan's name or file, as given; "" where nothing is searched, and all runs are single ones
    plan_content: Mapping[str, Any]  # what the plan says, to notice when it changes
    options: StudyOptions
    trials: int  # finished trials asked for
    created: float  # seconds since 1970-01-01 UTC
    storage: str = ""  # where the published copy goes, without password; "" is RUNS/optuna.db
    limits: Limits = field(default_factory=Limits)  # of the latest session
    ended: str = ""  # why the latest session ended with fewer trials; "" also while it runs, and after it was killed

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan_content", freeze(self.plan_content))

    @property
    def searches(self) -> bool:
        """Whether there is a search, and not only single runs."""
        return bool(self.plan)


@final
class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record_file = path / "record.json"
        self.epochs_file = path / "epochs.jsonl"
        self.last_checkpoint = path / "last.pt"
        self.best_checkpoint = path / "best.pt"
        self.submission = path / "submission.csv"
        self.classes = path / "classes.csv"
        self.images = path / "images.csv"

    def begun(self) -> bool:
        """Whether there is a record."""
        return self.record_file.is_file()

    def write(self, record: RunRecord) -> None:
        """Replace the record. Raises DiskError."""
        with disk_errors(f"write {self.record_file}"):
            if not self.path.is_dir():
                self.path.mkdir(parents=True)
                sync_folder(self.path.parent)
            replace(self.record_file, (json.dumps(to_plain(record), indent=1, ensure_ascii=False) + "\n").encode())

    def read(self) -> RunRecord:
        """The record. Raises MissingInput or BadData."""
        return _read_as(RunRecord, self.record_file)

    def append(self, epoch: Epoch) -> None:
        """Add one epoch, durably. Raises DiskError; a torn line that this leaves is dropped when read."""
        with disk_errors(f"write {self.epochs_file}"), self.epochs_file.open("ab") as stream:
            stream.write((dumps(epoch) + "\n").encode())
            stream.flush()
            os.fsync(stream.fileno())

    def epochs(self) -> list[Epoch]:
        """The recorded epochs, 1, 2, 3, …; a torn last line is left out. Raises BadData for any other damage."""
        try:
            content = self.epochs_file.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BadData(f"{self.epochs_file}: {error}") from error
        found: list[Epoch] = []
        for line in content.split(b"\n")[:-1]:  # what stands behind the last line end is torn, or empty
            try:
                epoch = from_plain(Epoch, parse(line))
            except BadData as error:
                raise BadData(f"{self.epochs_file}, line {len(found) + 1}: {error}") from error
            if epoch.number != len(found) + 1:
                raise BadData(f"{self.epochs_file}, line {len(found) + 1}: holds epoch {epoch.number}")
            found.append(epoch)
        return found

    def keep_epochs(self, epochs: Sequence[Epoch]) -> None:
        """Replace the recorded epochs by these: what a new attempt trains again, or a torn line, is dropped."""
        with disk_errors(f"write {self.epochs_file}"):
            replace(self.epochs_file, "".join(dumps(epoch) + "\n" for epoch in epochs).encode())

    def attempt(self, number: int) -> Path:
        """The folder without which this attempt's worker can replace no checkpoint."""
        return self.path / f"{_ATTEMPT}{number}"

    def begin_attempt(self, number: int) -> None:
        """Hand the checkpoints to this attempt, and fence off all earlier ones. Raises DiskError."""
        self.end_attempts()
        with disk_errors(f"write {self.path}"):
            self.attempt(number).mkdir()

    def end_attempts(self) -> None:
        """Fence off every attempt: what a worker that was given up still does leaves nothing in this folder. Raises DiskError."""
        with disk_errors(f"clear {self.path}"):
            for folder in self.path.glob(f"{_ATTEMPT}*"):
                # By one rename, because a worker may be writing in it now.
                folder.rename(folder.with_name(f"{_ENDED}{secrets.token_hex(8)}"))
            for folder in self.path.glob(f"{_ENDED}*"):
                shutil.rmtree(folder)

    @property
    def resumable(self) -> bool:
        """Whether there is a checkpoint to resume from."""
        return self.last_checkpoint.is_file()

    def delete_checkpoints(self, *, last: bool = True, best: bool = True) -> None:
        """Remove checkpoints that nothing needs any more."""
        for path, wanted in ((self.last_checkpoint, last), (self.best_checkpoint, best)):
            if wanted:
                with disk_errors(f"delete {path}"):
                    path.unlink(missing_ok=True)


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
        return _read_as(StudyFile, self.study_file)

    def search(self, instead: str) -> StudyFile:
        """The same, of a study that searches. Raises InvalidInput with what to do `instead` where it holds single runs only."""
        study = self.read()
        if not study.searches:
            raise InvalidInput(f"{self.name!r} is no search, it holds single runs: {instead}")
        return study

    def run(self, kind: Kind, name: str) -> RunFolder:
        """The folder of a run of this study: `run(Kind.TRIAL, "0007")`."""
        path = self.path / _FOLDERS[kind] / checked_name(name, "run")
        _refuse_link(path)
        return RunFolder(path)

    def folder(self, record: RunRecord) -> RunFolder:
        """The folder of the run that this record is of."""
        return self.run(record.kind, run_name(record.run_id))

    def run_id(self, kind: Kind, name: str) -> str:
        """How a run is called on the command line and in messages: `part2/trials/0007`."""
        return f"{self.name}/{_FOLDERS[kind]}/{name}"

    def runs(self, *kinds: Kind) -> list[RunRecord]:
        """The records of all runs of these kinds (of all kinds when none is named), in the order of their names.

        A folder without a record is a run that never began: it is left out. Raises BadData for a damaged record, for one
        that belongs to another folder, so that no copied folder counts as a run of its own, and for a link.
        """
        found = []
        for kind in kinds or tuple(Kind):
            for folder in sorted((self.path / _FOLDERS[kind]).glob("*/")):
                _refuse_link(folder)
                run = RunFolder(folder)
                if run.begun():
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

        What `ask_to_stop` asked before does not count. A study that was not begun in the meantime leaves nothing behind. Raises
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
            if not (_hold(stream) and self._is_lock(stream.fileno())):  # held, or removed between opening and holding it
                raise self._held()
            self.forget_stop()  # which was asked of an earlier session
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

    def ask_to_stop(self) -> None:
        """Ask the conductor that holds the study to end its session. Raises DiskError."""
        with disk_errors(f"write {self.stop_file}"):
            self.stop_file.touch()

    def stop_asked(self) -> bool:
        """Whether somebody has asked."""
        return self.stop_file.exists()

    def forget_stop(self) -> None:
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


@final
class Store:
    """The runs folder: all studies."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.published = runs / "optuna.db"  # Optuna's copy of all studies

    def study(self, name: str) -> StudyFolder:
        """The folder of a study, which may not have begun. Raises InvalidInput for what cannot be a name, BadData for a link."""
        study = StudyFolder(self.runs, name)
        _refuse_link(study.path)
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
            parts = [parts[0], _FOLDERS[Kind.TRIAL], f"{int(parts[1]):04d}"]
        study = self.known(parts[0])
        kinds = {folder: kind for kind, folder in _FOLDERS.items()}
        if len(parts) == 3 and parts[1] in kinds:
            run = study.run(kinds[parts[1]], parts[2])
            if run.begun():
                return study, run
        raise UnknownName("run", run_id, [record.run_id for record in study.runs()])

    def _touched(self, name: str) -> float:
        study = self.study(name)
        return max(file.stat().st_mtime for file in (study.study_file, study.lock_file) if file.exists())


def _refuse_link(folder: Path) -> None:
    """Raise BadData for a link, which nobody here makes: what is deleted and written must lie in the runs folder."""
    if folder.is_symlink():
        raise BadData(f"{folder} is a link to somewhere else; move it away")


def run_name(run_id: str) -> str:
    """The folder's name in a run_id: "0007" of "part2/trials/0007"."""
    return run_id.rsplit("/", 1)[-1]


def _read_as(kind: type[T], path: Path) -> T:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise MissingInput(f"there is no {path}") from None
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}") from error
    try:
        return from_plain(kind, parse(content))
    except BadData as error:
        raise BadData(f"{path} is damaged ({error}); restore it from a backup, or move {path.parent} away") from error


def _hold(stream: IO[bytes]) -> bool:
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
