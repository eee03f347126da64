"""Runs to show to observers, and observers of our own for the process tests. Importable in a child process."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from orchestrator.errors import Mismatch, Unavailable
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch, Evaluation, Failure, FailureKind, Kind, Provenance, RunRecord, Status

UUID = "3f2a9c1b-5d6e-4f70-8192-a3b4c5d6e7f8"
STARTED = 1_790_000_000.0


def curve(count: int, start: float = 0.1) -> list[Epoch]:
    """`count` epochs whose validation accuracy rises by a tenth each."""
    return [
        Epoch(
            number=number,
            train_loss=2.0 / number,
            train_acc=0.05 * number,
            val_loss=2.5 / number,
            val_acc=round(start + 0.1 * (number - 1), 6),
            lr=0.01 * number,
            seconds=0.5,
            batch_losses=(2.1, 1.9),
        )
        for number in range(1, count + 1)
    ]


def running(number: int = 0, kind: Kind = Kind.TRIAL, *, learning_rate: float = 0.01, study: str = "part2") -> RunRecord:
    """The record of a run that was just begun."""
    recipe = Recipe(
        plan="part2",
        trainer="resnet",
        dataset="digits",
        epochs=4,
        seed=number,
        params={"learning_rate": learning_rate, "batch_size": 64, "model": {"depth": 18}},
    )
    folder = {Kind.TRIAL: "trials", Kind.RETRAIN: "retrain", Kind.CONFIRM: "confirm", Kind.SINGLE: "single"}[kind]
    name = f"{number:04d}" if kind is Kind.TRIAL else f"{number:04d}-{recipe.fingerprint()[:8]}"
    return RunRecord(
        run_id=f"{study}/{folder}/{name}",
        kind=kind,
        number=number,
        recipe=recipe,
        reference="001-P2" if number == 0 else None,
        provenance=Provenance(study=UUID, commit="abc123", host="here", device="cpu", threads=2, started=STARTED + number),
    )


def seen(record: RunRecord, epochs: Sequence[Epoch]) -> RunRecord:
    """The record after these epochs."""
    return replace(record, best=record.metric.best(epochs), epochs=len(epochs), seconds=sum(epoch.seconds for epoch in epochs))


def ended(record: RunRecord, epochs: Sequence[Epoch], status: Status = Status.COMPLETE) -> RunRecord:
    """The record after its last epoch, in its final state."""
    failure = Failure(kind=FailureKind.CRASHED, message="ValueError: broken") if status is Status.FAILED else None
    test = Evaluation(images=180, loss=0.2, acc=0.97) if record.kind is Kind.RETRAIN else None
    provenance = replace(record.provenance, finished=record.provenance.started + 10)
    return replace(seen(record, epochs), status=status, failure=failure, test=test, provenance=provenance)


def study_of(count: int, length: int = 3) -> list[tuple[RunRecord, list[Epoch]]]:
    """`count` finished trials, COMPLETE, PRUNED and FAILED in turn."""
    states = (Status.COMPLETE, Status.PRUNED, Status.FAILED)
    runs = []
    for number in range(count):
        epochs = curve(length, start=0.1 + 0.01 * number)
        runs.append((ended(running(number), epochs, states[number % 3]), epochs))
    return runs


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
