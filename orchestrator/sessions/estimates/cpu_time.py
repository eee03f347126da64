"""A warning before a training that would take hours on this CPU, such as that of a plan which was made for a GPU."""

import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final

from orchestrator import plugins
from orchestrator.errors import OrchestrateError
from orchestrator.executors.devices import worker_settings
from orchestrator.recipe import Recipe
from orchestrator.record import RunRecord
from orchestrator.sessions.estimates.trials import comparable_runs
from orchestrator.sessions.resources import Resources
from orchestrator.storage.remembered_folders import DEFAULT_DATA
from orchestrator.support.activity import doing
from orchestrator.support.durations import format_duration
from orchestrator.support.serialization import dumps
from orchestrator.support.wording import several
from orchestrator.worker.timing import TimingRequest

# Numbers in all images of all epochs, below which nothing takes hours: forty trials of ten epochs on the digits have 40 million.
_FEW_NUMBERS = 200e6
_HOUR = 3600.0
_SECONDS_TO_TIME = 60.0  # that a command waits for the timing


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a command is to train: `runs` runs like `recipe`, each for so many epochs, `at_a_time` beside each other."""

    recipe: Recipe
    runs: int
    epochs: int
    fewest_epochs: int  # of a run, since a scheduler may prune it
    at_a_time: int = 1

    def warning(self, epoch_seconds: float) -> str | None:
        """What to say where an epoch takes so long; None where it is over within the hour."""
        low = epoch_seconds * self.fewest_epochs * self.runs / min(self.at_a_time, max(self.runs, 1))
        high = epoch_seconds * self.epochs * self.runs
        if low <= _HOUR:
            return None
        what = several(self.epochs, "epoch") if self.runs == 1 else f"{self.runs} trials of {several(self.epochs, 'epoch')}"
        takes = "takes" if self.runs == self.epochs == 1 else "take"
        between = " to ".join(dict.fromkeys([format_duration(low), format_duration(high)]))
        return (
            f"warning: an epoch takes about {format_duration(epoch_seconds)} on this CPU, so {what} {takes} about {between}. "
            "A GPU, a smaller model, or fewer trials or epochs take less"
        )


@final
class SlowWork:
    """Finds out, while a command prepares, how long its work takes on this CPU."""

    def __init__(self, work: Work, process: "subprocess.Popen[bytes] | None", images: int, epoch_seconds: float | None) -> None:
        self._work = work
        self._process = process
        self._images = images
        self._epoch_seconds = epoch_seconds

    def warning(self) -> str | None:
        """The warning, where one is due and known; waits for the timing, a minute at most."""
        seconds = self._epoch_seconds
        if self._process is not None:
            with doing("timing an epoch on this CPU"):
                seconds = _answer(self._process, self._images)
        return self._work.warning(seconds) if seconds is not None else None


@contextlib.contextmanager
def slow_work(work: Work, resources: Resources, known: Iterable[RunRecord]) -> Iterator[SlowWork]:
    """Begin to time `work`, if it is for this CPU, may take hours, and no run of it on a CPU is among the `known` ones."""
    process, images, measured = None, 0, None
    with contextlib.suppress(OrchestrateError, OSError):  # what is wrong will be said where it is needed
        if resources.executor != "ray" and set((assignment := resources.assignment()).devices) == {"cpu"}:
            runs = comparable_runs(known, work.recipe.trainer, work.recipe.dataset)
            paces = [record.seconds / record.epochs for record in runs if record.provenance.device == "cpu"]
            if paces:
                measured = statistics.median(paces)
            else:
                process, images = _started(work, resources, assignment.threads)
    try:
        yield SlowWork(work, process, images, measured)
    finally:
        if process is not None:
            process.kill()
            process.communicate()


def _started(work: Work, resources: Resources, threads: int) -> "tuple[subprocess.Popen[bytes] | None, int]":
    """The process that times, and the training images of an epoch; None where the work is little. Raises OSError."""
    data_folder = resources.data_folder or DEFAULT_DATA
    info = plugins.dataset_info(work.recipe.dataset, data_folder)
    images = info.train_images - info.validation_images - info.confirmation_images
    if work.runs * work.epochs * images * info.channels * info.size**2 < _FEW_NUMBERS:
        return None, images
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "orchestrator.worker.timing"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **worker_settings(threads)},
    )
    request = TimingRequest(recipe=work.recipe, data_folder=str(data_folder.resolve()), threads=threads)
    if process.stdin is not None:
        with contextlib.suppress(OSError), process.stdin as stream:  # it has died already: then there is no answer
            stream.write(dumps(request).encode())
        process.stdin = None
    return process, images


def _answer(process: "subprocess.Popen[bytes]", images: int) -> float | None:
    """The seconds of an epoch, as timed; None where that did not work."""
    try:
        answer, _ = process.communicate(timeout=_SECONDS_TO_TIME)
        seconds = float(json.loads(answer))
    except (subprocess.TimeoutExpired, ValueError, TypeError):
        process.kill()  # the cores are needed now
        return None
    return seconds * images if math.isfinite(seconds) and seconds >= 0 else None
