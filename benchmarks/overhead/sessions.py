"""Sessions of `orchestrate study`, as a user would start them, watched from outside through the operating system."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measuring.surroundings import ROOT
from orchestrator.record import Kind, RunRecord
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder

PLUGINS = Path(__file__).parent / "plugins"
_LOOK = 0.02  # seconds between two looks at whether a trial has begun: a thousandth of what is measured between two such moments
_ROLES = {"_worker_process": "workers", "observers.optuna": "Optuna's copy", "observers.wandb": "W&B mirror"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The conductor's process when a trial began."""

    cpu_seconds: float  # user and system, of the conductor alone
    memory_bytes: int  # resident


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a session was seen to take."""

    seconds: float  # wall time, from its start to its end
    folder: StudyFolder
    moments: dict[int, Moment]  # when the trial of this number began
    cpu_seconds: dict[str, float] = field(default_factory=dict)  # of the processes that it started, when they were last seen

    def trials(self) -> list[RunRecord]:
        """The records of its trials, in the order of their numbers."""
        return self.folder.runs(Kind.TRIAL)


@contextlib.contextmanager
def resources() -> Iterator[Path]:
    """A folder with the benchmarks' plug-ins, for sessions to be started in; it is deleted in the end."""
    # Not /tmp, which is memory on many machines: what is durable must really go to the disk.
    (ROOT / "runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "runs") as folder:
        place = Path(folder)
        shutil.copytree(PLUGINS, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        yield place


def study(place: Path, plan: str, name: str, *options: str, moments: Sequence[int] = ()) -> Session:
    """Run the study `name` to its end, and look at its conductor when the trials of the numbers `moments` begin.

    Raises RuntimeError with what it said when it fails.
    """
    words = ["study", plan, "--study", name, "--device", "cpu", "--runs", "runs", "--data-dir", str(ROOT / "data"), *options]
    with (place / f"{name}.log").open("w+") as log:
        started = time.perf_counter()
        process = subprocess.Popen(command(*words), cwd=place, env=environment(), stdout=log, stderr=log)
        if moments:
            seen, used = _watch(process, place / "runs" / name / "trials", moments)
        else:  # undisturbed: each look costs a worker that uses all cores some of its time
            process.wait()
            seen, used = {}, {}
        seconds = time.perf_counter() - started
        log.seek(0)
        said = log.read()
    if process.returncode or any(line.startswith("warning: ") for line in said.splitlines()):
        raise RuntimeError(f"orchestrate {' '.join(words)} ended with exit code {process.returncode}:\n{said[-4000:]}")
    if missed := set(moments) - set(seen):
        raise RuntimeError(f"{name}: nobody saw trial {min(missed)} begin")
    folder = RunsFolder(place / "runs").study(name)
    return Session(seconds=seconds, folder=folder, moments=seen, cpu_seconds=used)


def command(*words: str) -> list[str]:
    """The command `orchestrate` of this installation."""
    return [sys.executable, "-P", "-m", "orchestrator.cli", *words]


def environment() -> dict[str, str]:
    """Of what is measured: without what would make a session another one, and with the benchmarks' own modules."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "ORCHESTRATE_"))}
    return {**own, "PYTHONPATH": str(ROOT)}


def script(
    place: Path, module: str, request: dict[str, Any], variables: Mapping[str, str] | None = None
) -> tuple[float, dict[str, Any]]:
    """Run `benchmarks.overhead.MODULE`, which is asked and answers in JSON. Returns its wall seconds, and the answer.

    Raises RuntimeError with what it said when it fails.
    """
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.overhead.{module}"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
        cwd=place,
        env={**environment(), **(variables or {})},
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{module} ended with exit code {done.returncode}:\n{done.stderr[-4000:]}")
    return seconds, json.loads(done.stdout.splitlines()[-1])


def _watch(process: subprocess.Popen[Any], trials: Path, moments: Sequence[int]) -> tuple[dict[int, Moment], dict[str, float]]:
    conductor = psutil.Process(process.pid)
    waiting = sorted(moments, reverse=True)
    seen: dict[int, Moment] = {}
    used: dict[tuple[str, int], float] = {}
    looked = 0.0
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # it ended while it was looked at
            if waiting and (trials / f"{waiting[-1]:04d}").exists():
                times = conductor.cpu_times()
                moment = Moment(cpu_seconds=times.user + times.system, memory_bytes=conductor.memory_info().rss)
                seen[waiting.pop()] = moment
            if time.monotonic() - looked > 0.5:
                looked = time.monotonic()
                used |= _of_children(conductor)
        time.sleep(_LOOK)
    sums: dict[str, float] = {}
    for (role, _), seconds in used.items():
        sums[role] = sums.get(role, 0.0) + seconds
    return seen, sums


def _of_children(conductor: psutil.Process) -> dict[tuple[str, int], float]:
    found: dict[tuple[str, int], float] = {}
    for child in conductor.children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            words = " ".join(child.cmdline())
            role = next((role for part, role in _ROLES.items() if part in words), None)
            if role is not None:
                family = [child, *child.children(recursive=True)]
                found[role, child.pid] = sum(sum(member.cpu_times()[:2]) for member in family)
    return found
