"""Observers of our own for the process tests, and the runs that observers are shown. Importable in a child process."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from orchestrator.errors import Mismatch, Unavailable
from orchestrator.record import Epoch, RunRecord
from orchestrator.testing.observed_runs import STARTED, UUID, curve, ended, running, seen, study_of

__all__ = [
    "STARTED",
    "UUID",
    "Recording",
    "curve",
    "ended",
    "eventually",
    "gone",
    "open_mismatched",
    "open_recording",
    "open_talkative",
    "open_with_helper",
    "running",
    "seen",
    "study_of",
]


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until it is so; fail when it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        time.sleep(0.02)


def gone(process: psutil.Process) -> bool:
    """Whether it has ended. An orphan may stay listed as a zombie until the system's first process has looked after it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@dataclass
class Recording:
    """Appends a line for each call to a file; waits at its gate, a file that someone else makes; can be told to break."""

    file: Path
    gate: Path | None = None
    breaks_at: str = "nothing"

    def _note(self, text: str) -> None:
        while self.gate is not None and not self.gate.exists():
            time.sleep(0.01)
        if text.startswith(self.breaks_at):
            raise RuntimeError(f"cannot note {text}")
        with self.file.open("a") as stream:
            stream.write(text + "\n")

    def opened(self, record: RunRecord, epochs: Sequence[Epoch]) -> None:
        self._note(f"opened {record.run_id} {len(epochs)}")

    def measured(self, record: RunRecord, epoch: Epoch) -> None:
        self._note(f"measured {record.run_id} {epoch.number} {epoch.val_loss}")

    def closed(self, record: RunRecord) -> None:
        self._note(f"closed {record.run_id} {record.status.value}")

    def finish(self, timeout: float) -> str | None:
        self._note("finish")
        return None


def open_recording(configuration: Mapping[str, Any]) -> Recording:
    """A Recording; its process id is left beside its file."""
    file = Path(configuration["file"])
    file.with_suffix(".pid").write_text(str(os.getpid()))
    gate = Path(configuration["gate"]) if "gate" in configuration else None
    return Recording(file=file, gate=gate, breaks_at=configuration.get("breaks_at", "nothing"))


def open_with_helper(configuration: Mapping[str, Any]) -> Recording:
    """A Recording with a helper process, as W&B has one: it reads what it can, outlives the observer and writes the same copy."""
    subprocess.Popen(["sh", "-c", f"cat; sleep 1.5; echo helper >> {configuration['file']}"])
    return open_recording(configuration)


def open_talkative(configuration: Mapping[str, Any]) -> Recording:
    """Prints its whole configuration, to both streams, as a library's log might, and cannot reach anything."""
    password = configuration["url"].split(":")[2].split("@")[0]
    print(dict(configuration))
    print(f"login with {password} failed", file=sys.stderr)
    raise Unavailable(f"cannot reach {configuration['url']} with {password}")


def open_mismatched(configuration: Mapping[str, Any]) -> Recording:
    """Finds somebody else's copy."""
    raise Mismatch("another study has this name")
