"""The other end of the Ray executor: a worker as an actor. Ray is not imported here; commands and events are the lines of `wire`.

A worker that sees the runs folder writes its checkpoints there. One that does not keeps them in a folder of its own, and sends
each with the event that reports it.
"""

import contextlib
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from orchestrator.executors import wire
from orchestrator.executors.code_shipping import PLUGINS
from orchestrator.executors.wire import Grant, Stop
from orchestrator.jobs import Event, Failed, Finished, Job, Saved
from orchestrator.record import FailureKind, SourceLine
from orchestrator.storage.run_folder import RunFolder
from orchestrator.support.environment import remove_switches
from orchestrator.worker.runner import Runner


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A file that a worker finds, with this content, if it shares the disk; it then prints to `log`."""

    file: str
    content: str
    log: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Where a worker is, and whether it sees the runs folder."""

    host: str
    shares_disk: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one call came to: events, a line each, whether the job may train on, and checkpoint files by their names."""

    events: bytes = b""
    can_step: bool = False
    checkpoints: Mapping[str, bytes]


@final
class RayWorker:
    """One worker. Its methods are called one after the other, in the order in which they were sent."""

    def __init__(self, *, device: str, threads: int, data_folder: str) -> None:
        remove_switches()
        with contextlib.suppress(FileNotFoundError):  # plug-ins travel in this folder
            os.chdir(PLUGINS)
        self._runner = Runner(device=device, threads=threads, data_folder=Path(data_folder))
        self._own: Path | None = None  # for checkpoints, where the runs folder cannot be seen

    def open(self, probe: Probe) -> Opened:
        """Find out what this machine shares with the conductor's, and load what every job needs."""
        shares = _holds(Path(probe.file), probe.content)
        if shares:
            _print_to(Path(probe.log))
        else:
            self._own = Path(tempfile.mkdtemp(prefix="run-", dir=Path.cwd()))  # in Ray's own folder, which Ray deletes
        import torch  # noqa: F401 - seconds that pass before the first job comes

        return Opened(host=socket.gethostname(), shares_disk=shares)

    def ping(self) -> Said:
        """Answer, if it still can."""
        return self._said([])

    def obey(self, line: bytes, last_checkpoint: bytes | None) -> Said:
        """Do what the conductor commands; `last_checkpoint` is what a job resumes from, for a worker that cannot read it."""
        match wire.COMMANDS.decode(line):
            case Job() as job:
                return self._said(self._runner.start(self._placed(job, last_checkpoint)))
            case Grant(run_id=run_id, until_epoch=until_epoch):
                self._runner.grant(run_id, until_epoch)
                return self._said([])
            case Stop(run_id=run_id, keep=keep):
                return self._said(self._runner.stop(run_id, keep=keep))

    def step(self) -> Said:
        """Train an epoch, if the job may."""
        return self._said(self._runner.step() if self._runner.can_step else [])

    def _placed(self, job: Job, last_checkpoint: bytes | None) -> Job:
        if self._own is None:
            return job
        for left in self._own.iterdir():
            shutil.rmtree(left)
        folder = RunFolder(self._own / "run")
        folder.path.mkdir()
        folder.begin_attempt(job.attempt)
        if last_checkpoint is not None:
            folder.last_checkpoint.write_bytes(last_checkpoint)
        return replace(job, folder=str(folder.path))

    def _said(self, events: Sequence[Event]) -> Said:
        located = [_located(event) for event in events]
        return Said(
            events=b"".join(map(wire.EVENTS.encode, located)),
            can_step=self._runner.can_step,
            checkpoints=self._written(events) if self._own is not None else {},
        )

    def _written(self, events: Sequence[Event]) -> dict[str, bytes]:
        assert self._own is not None
        folder = RunFolder(self._own / "run")
        files = set()
        for event in events:
            if isinstance(event, Saved):
                files.add(folder.last_checkpoint)
            if isinstance(event, Finished):
                files.add(folder.best_checkpoint)
        return {file.name: file.read_bytes() for file in files}


def _located(event: Event) -> Event:
    """A failure of disk or data names its machine: only there can it be repaired.

    Code that was shipped is named as it lies below the working directory of the command, or below the folder of our packages:
    Ray deletes the copies.
    """
    if not isinstance(event, Failed):
        return event
    failure = replace(event.failure, source_lines=tuple(map(_unshipped, event.failure.source_lines)))
    if failure.kind in (FailureKind.DISK, FailureKind.DATA):
        failure = replace(failure, message=f"on {socket.gethostname()}: {failure.message}")
    return replace(event, failure=failure)


def _unshipped(at: SourceLine) -> SourceLine:
    plugins = Path.cwd()
    for shipped in (plugins, plugins.parent) if plugins.name == PLUGINS else ():
        if Path(at.file).is_relative_to(shipped):
            return replace(at, file=str(Path(at.file).relative_to(shipped)))
    return at


def _holds(file: Path, content: str) -> bool:
    try:
        return file.read_text() == content
    except OSError:
        return False


def _print_to(log: Path) -> None:
    with contextlib.suppress(OSError), log.open("ab") as stream:
        for printed in (sys.stdout, sys.stderr):
            os.dup2(stream.fileno(), printed.fileno())
