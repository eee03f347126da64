"""A worker: trains one job at a time, epoch by epoch, and serves many jobs with one device and one copy of the data.

The same for every executor: in this process, in a process of its own, or on another machine.
"""

import contextlib
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import final

from orchestrator import plugins
from orchestrator.contracts import Training
from orchestrator.jobs import Began, Event, Facts, Failed, Finished, Job, Paused
from orchestrator.recipe import Recipe
from orchestrator.record import FailureKind
from orchestrator.support import environment
from orchestrator.support.fault_injection import CrashPoint, reached
from orchestrator.support.gpu_memory import free_memory
from orchestrator.worker.data import DeviceData
from orchestrator.worker.failures import described
from orchestrator.worker.job import RunningJob


@final
class Runner:
    """Trains jobs on one device. Not thread safe; one job at a time."""

    def __init__(self, *, device: str, threads: int, data_folder: Path) -> None:
        self._device = device
        self._threads = threads
        self._device_data = DeviceData(data_folder, device)
        self._job: RunningJob | None = None

    @property
    def can_step(self) -> bool:
        """Whether a job may train another epoch."""
        return self._job is not None and len(self._job.epochs) < self._job.granted

    def prepare(self, recipe: Recipe) -> None:
        """Load what a job with a recipe like this one will need, before there is one. Raises what `start` would report."""
        plugins.trainer(recipe.trainer)
        self._device_data.data(recipe.dataset, recipe.split)

    def start(self, job: Job) -> Sequence[Event]:
        """Begin a job, in place of whatever ran before: `Began`, or `Failed`."""
        self._job = None
        try:
            return self._start(job)
        except Exception as error:  # a trainer may raise anything, and the worker must survive it
            failed = _failed(job, error)
        if failed.failure.kind is FailureKind.OUT_OF_MEMORY:
            free_memory()
        return [failed]

    def grant(self, run_id: str, until_epoch: int) -> None:
        """Let the job train up to and including this epoch."""
        if self._job is not None and self._job.job.run_id == run_id:
            self._job.granted = max(self._job.granted, until_epoch)

    def step(self) -> Sequence[Event]:
        """Train one epoch: `Measured`, then perhaps `Saved`, and after the last one `Finished`; or `Failed`, or `Reduced`."""
        if self._job is None:
            return []
        running = self._job
        recorded = len(running.epochs)
        try:
            events: Sequence[Event] = running.step(self._device_data)
        except Exception as error:
            events = [_failed(running.job, error)]
        # Here, because the error held on to everything that was computed. Once the epoch was trained it cannot begin again.
        out_of_memory = isinstance(last := events[-1], Failed) and last.failure.kind is FailureKind.OUT_OF_MEMORY
        if out_of_memory and len(running.epochs) == recorded:
            events = self._with_less_memory(running) or events
        if any(isinstance(event, Finished | Failed) for event in events):
            self._job = None
        return events

    def stop(self, run_id: str, *, keep: bool) -> Sequence[Event]:
        """End the job. With `keep` its checkpoint is written first: `Saved` and `Paused`."""
        running = self._job
        if running is None or running.job.run_id != run_id:
            return []
        self._job = None
        if not keep:
            return []
        try:
            reached(CrashPoint.PAUSING)
            saved = running.save()
        except Exception as error:
            return [_failed(running.job, error)]
        return [saved, Paused(run_id=run_id, attempt=running.job.attempt, epoch=len(running.epochs))]

    def _start(self, job: Job) -> Sequence[Event]:
        if self._device == "cpu":
            _limit_threads(self._threads)
        data, identity = self._device_data.data(job.recipe.dataset, job.recipe.split)
        running = RunningJob(job, lambda: self._begin(job), self._device, data, identity)
        note = running.resume() if job.resume else ""
        if note:  # loading may have stopped half-way: a training that begins again must be untouched
            running = RunningJob(job, lambda: self._begin(job), self._device, data, identity)
        self._job = running
        facts = Facts(
            host=environment.host(),
            device=_device_name(self._device),
            threads=self._threads,
            versions=environment.versions(),
            data_digest=identity.digest,
            classes_digest=identity.classes_digest,
            precision=running.precision,
            validation_images=len(data.validation_labels),
            skipped_images=data.info.skipped_images,
            switches=environment.switches(),
        )
        began = Began(run_id=job.run_id, attempt=job.attempt, epochs=tuple(running.epochs), facts=facts, note=note)
        if not running.ended:
            return [began]
        self._job = None  # everything was trained, and only the end was not recorded
        return [began, *running.finish(self._device_data)]

    def _begin(self, job: Job) -> Training:
        data, _ = self._device_data.data(job.recipe.dataset, job.recipe.split)
        return plugins.begin(job.recipe, data, self._device)

    def _with_less_memory(self, running: "RunningJob") -> Sequence[Event]:
        """Let the epoch that failed begin again with half the micro-batch; nothing where that cannot be."""
        try:
            return running.reduce()
        except Exception as error:
            return [_failed(running.job, error)]
        finally:
            free_memory()


def _failed(job: Job, error: Exception) -> Failed:
    """The event for an error that ended a job; the whole traceback goes to the worker's log, under the name of the run."""
    with contextlib.suppress(OSError):  # a full disk refuses the log too, and must be reported as what it is
        print(f"--- {job.run_id}, attempt {job.attempt}, failed:", file=sys.stderr)
        traceback.print_exception(error, file=sys.stderr)
    return Failed(run_id=job.run_id, attempt=job.attempt, failure=described(error))


def _limit_threads(threads: int) -> None:
    import torch

    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def _device_name(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})"
