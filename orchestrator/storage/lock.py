"""The lock of a study: one process at a time works on it, and the operating system releases it when that process dies."""

import contextlib
import fcntl
import functools
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, final

from orchestrator.errors import BadData, DiskError, TryAgainLater
from orchestrator.record import Kind, RunRecord
from orchestrator.storage.file_names import FOLDERS
from orchestrator.storage.run_folder import run_name
from orchestrator.support.atomic_files import disk_errors
from orchestrator.support.disk_lookups import content
from orchestrator.support.serialization import dumps, from_plain, parse, shortened
from orchestrator.support.wording import one_line

_SECONDS_TO_LOCK = 0.5

# What a process works on that trains no single run: the trials, the copies, or the folder, to rename, archive or delete it.
TRIALS, COPIES, FOLDER = FOLDERS[Kind.TRIAL], "copies", "folder"


def work_on(record: RunRecord) -> str:
    """What a process works on that trains this one run: "retrain/0007-1a2b3c4d"."""
    return f"{FOLDERS[record.kind]}/{run_name(record.run_id)}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who has a study's lock since when, and what for: its trials, copies or folder, or one run, as `work_on` names it.

    `process` is 0 where another process has the lock but its file does not say which.
    """

    process: int
    host: str
    since: str  # local time
    work: str = TRIALS  # earlier versions did not say

    def trains(self, record: RunRecord) -> bool:
        """Whether it trains this run, if anybody does; in doubt it does."""
        return self.process == 0 or self.work in (FOLDERS[record.kind], work_on(record))


_UNKNOWN = Holder(process=0, host="", since="", work="")


@final
class StudyLock:
    """The lock file of one study, which names its holder."""

    def __init__(self, file: Path, study: str) -> None:
        self._file = file
        self._study = study
        self._held: IO[bytes] | None = None
        self._since = ""

    @contextlib.contextmanager
    def held(self) -> Iterator[Callable[[str], None]]:
        """Hold the lock for this process; gives what writes this process into the file as its holder, and what it works on.

        Raises TryAgainLater naming the holder, or DiskError, which the writing may raise too.
        """
        with self._opened() as stream:
            with disk_errors(f"lock {self._file}"):
                free = _acquired(stream) and self._is_lock(stream.fileno())
            if not free:  # held, or removed between opening and locking it
                raise self._refusal()
            self._held, self._since = stream, time.strftime("%Y-%m-%d %H:%M:%S")
            try:
                yield functools.partial(self._write_holder, stream)
            finally:
                self._held = None

    def is_lost(self) -> bool:
        """Whether this process holds a lock whose file is not in its place any more: it keeps nobody out. Raises DiskError."""
        with disk_errors(f"read {self._file}"):
            return self._held is not None and not self._is_lock(self._held.fileno())

    def refuse_if_locked(self) -> None:
        """Raise TryAgainLater now if `held` would."""
        if self.locked():
            raise self._refusal()

    def holder(self) -> Holder | None:
        """Who holds the lock now; None while nobody does. Raises DiskError."""
        if not self.locked():
            return None
        try:
            return from_plain(Holder, parse(content(self._file) or b""))
        except BadData:  # it is being written, or is damaged
            return _UNKNOWN

    def locked(self) -> bool:
        """Whether a process holds the lock now. Raises DiskError."""
        with disk_errors(f"read {self._file}"):
            try:
                descriptor = os.open(self._file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                return False
            with os.fdopen(descriptor) as stream:
                try:
                    fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return True
        return False

    def _opened(self) -> IO[bytes]:
        with disk_errors(f"write {self._file}"):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # Not through a link: what it leads to would be overwritten.
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            return os.fdopen(os.open(self._file, flags, 0o666), "ab", buffering=0)

    def _is_lock(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._file.stat())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _write_holder(self, stream: IO[bytes], work: str) -> None:
        holder = dumps(Holder(process=os.getpid(), host=socket.gethostname(), since=self._since, work=work))
        with disk_errors(f"write {self._file}"):
            stream.truncate(0)
            stream.write(holder.encode())

    def _refusal(self) -> TryAgainLater:
        return TryAgainLater(f"study {self._study!r} is being run by {self._named()}; wait for it, or stop it, then try again")

    def _named(self) -> str:
        holder = _UNKNOWN
        with contextlib.suppress(BadData, DiskError):
            holder = from_plain(Holder, parse(content(self._file) or b""))
        named = one_line(shortened(f"process {holder.process} on {holder.host} since {holder.since}"))
        return named if holder.process else "another process"


def _acquired(stream: IO[bytes]) -> bool:
    """Whether the lock was free. `locked` takes it for a moment too, so one refusal says nothing yet."""
    deadline = time.monotonic() + _SECONDS_TO_LOCK
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
