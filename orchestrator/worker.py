"""A worker: carries out one job at a time, an epoch at a step, and serves many jobs with one device and one copy of the data.

The same for every executor: in this process, in a process of its own, or on another machine.
"""

import contextlib
import gc
import hashlib
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from orchestrator import checkpoint, machine, plugins
from orchestrator.chance import Chance, hopeless
from orchestrator.contracts import Data, EndsEarly, MicroBatched, Precise, SmoothsLabels, Training, WarmsUp
from orchestrator.crash_points import CrashPoint, reached
from orchestrator.errors import BadData, DiskError
from orchestrator.failures import described
from orchestrator.gpu_memory import gpu_memory, is_out_of_memory
from orchestrator.jobs import Began, Event, Facts, Failed, Finished, Job, Measured, Paused, Reduced, Saved
from orchestrator.plain import dumps, from_plain, to_plain
from orchestrator.recipe import Recipe, Split
from orchestrator.record import Best, Epoch, Evaluation, Failure, FailureKind
from orchestrator.splits import split
from orchestrator.store import RunFolder

# Seconds that the first checkpoint is taken to cost, until one was measured: a ResNet-18 with momentum takes .2 to .5.
_FIRST_CHECKPOINT_SECONDS = 0.2

# Of float32, in which models predict: a true class whose probability has become 0 there costs 103 nats, and not infinitely many.
_SMALLEST_PROBABILITY = 2.0**-149

_SMALLEST_MICRO_BATCH = 2  # images; BatchNorm can do nothing with one


@final
class Runner:
    """Carries out jobs on one device. Not thread safe; one job at a time."""

    def __init__(self, *, device: str, threads: int, data_folder: Path) -> None:
        self._device = device
        self._threads = threads
        self._shelf = _Shelf(data_folder, device)
        self._job: _RunningJob | None = None

    @property
    def can_step(self) -> bool:
        """Whether a job may train another epoch."""
        return self._job is not None and len(self._job.epochs) < self._job.granted

    def prepare(self, recipe: Recipe) -> None:
        """Load what a job with a recipe like this one will need, before there is one. Raises what `start` would report."""
        plugins.trainer(recipe.trainer)
        self._shelf.data(recipe.dataset, recipe.split)

    def start(self, job: Job) -> Sequence[Event]:
        """Begin a job, in place of whatever ran before: `Began`, or `Failed`."""
        self._job = None
        try:
            return self._start(job)
        except Exception as error:  # a trainer may raise anything, and the worker must live on
            failed = _failed(job, error)
        if failed.failure.kind is FailureKind.OUT_OF_MEMORY:
            _free_memory()
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
            events: Sequence[Event] = running.step(self._shelf)
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
        data, digest = self._shelf.data(job.recipe.dataset, job.recipe.split)
        running = _RunningJob(job, lambda: self._begin(job), self._device, data)
        note = running.resume() if job.resume else ""
        if note:  # loading may have stopped half-way: what goes on from scratch must be untouched
            running = _RunningJob(job, lambda: self._begin(job), self._device, data)
        self._job = running
        facts = Facts(
            host=machine.host(),
            device=_device_name(self._device),
            threads=self._threads,
            versions=machine.versions(),
            data_digest=digest,
            precision=running.precision,
            validation_images=len(data.validation_labels),
        )
        began = Began(run_id=job.run_id, attempt=job.attempt, epochs=tuple(running.epochs), facts=facts, note=note)
        if not running.ended:
            return [began]
        self._job = None  # everything was trained, and only the end was not recorded
        return [began, *running.finish(self._shelf)]

    def _begin(self, job: Job) -> Training:
        data, _ = self._shelf.data(job.recipe.dataset, job.recipe.split)
        return plugins.trainer(job.recipe.trainer).begin(job.recipe, data, self._device)

    def _with_less_memory(self, running: "_RunningJob") -> Sequence[Event]:
        """Let the epoch that failed begin again with half the micro-batch; nothing where that cannot be."""
        try:
            return running.reduce()
        except Exception as error:
            return [_failed(running.job, error)]
        finally:
            _free_memory()


@final
class _RunningJob:
    """One job between two epochs."""

    def __init__(self, job: Job, begin: Callable[[], Training], device: str, data: Data) -> None:
        self.job = job
        self.granted = job.until_epoch
        self.epochs: list[Epoch] = []
        self._begin = begin
        self._training = begin()
        if job.micro_batch and isinstance(self._training, MicroBatched):
            self._training.limit_micro_batch(job.micro_batch)
        self._state: dict[str, Any] | None = None  # of the training after its last epoch, where it can do with less memory
        self._device = device
        self._chance = _chance(data, self._training)
        self._folder = RunFolder(Path(job.folder))
        self._best: Best | None = None
        self._snapshot: dict[str, Any] | None = None
        self._unsaved_seconds = 0.0
        self._checkpoint_seconds = _FIRST_CHECKPOINT_SECONDS

    @property
    def ended(self) -> bool:
        """Whether the recipe has nothing more to train."""
        early = isinstance(self._training, EndsEarly) and self._training.ended
        return early or len(self.epochs) >= self.job.recipe.epochs

    @property
    def precision(self) -> str:
        """The type in which it computes; "" where the trainer does not say."""
        return self._training.precision if isinstance(self._training, Precise) else ""

    def _at_full_rate(self) -> int:
        """Steps done since the warm-up; all of them where the trainer has none."""
        if isinstance(self._training, WarmsUp):
            return self._training.steps_at_full_rate
        return sum(len(epoch.batch_losses) for epoch in self.epochs)

    def resume(self) -> str:
        """Continue from the last checkpoint. Returns "" or why it was not used."""
        if not self._folder.last_checkpoint.exists():
            return ""
        try:
            state = checkpoint.read(self._folder.last_checkpoint)
            if state["recipe"] != self.job.recipe.fingerprint():
                raise BadData(f"{self._folder.last_checkpoint} belongs to another recipe")
            epochs = [from_plain(Epoch, epoch) for epoch in state["epochs"]]
            self._training.load_state_dict(state["training"])
            reached(CrashPoint.STATE_LOADED)
        except (BadData, DiskError, KeyError, TypeError, ValueError, RuntimeError) as error:
            if is_out_of_memory(error):  # the checkpoint is sound, and stays
                raise
            return f"trained again from the beginning: {error}"
        self.epochs = epochs
        self._state = state["training"]
        self._snapshot = state["best"]
        self._best = self.job.metric.best(epochs)
        return ""

    def step(self, shelf: "_Shelf") -> list[Event]:
        epoch = self._training.epoch()
        reached(CrashPoint.EPOCH_TRAINED)
        dumps(epoch)  # an epoch that cannot be recorded is its trainer's failure, told here and not on the way out
        self.epochs.append(epoch)
        self._state = self._training.state_dict() if isinstance(self._training, MicroBatched) else None
        self._unsaved_seconds += epoch.seconds
        best = self.job.metric.best(self.epochs)
        if best is not None and best.epoch == epoch.number:
            self._best, self._snapshot = best, self._training.snapshot()
        memory = gpu_memory(self._device)
        events: list[Event] = [Measured(run_id=self.job.run_id, attempt=self.job.attempt, epoch=epoch, memory=memory)]
        if why := hopeless(self.epochs, self._chance, at_full_rate=self._at_full_rate(), last=self.ended):
            failure = Failure(kind=FailureKind.DIVERGED, message=why)
            return [*events, Failed(run_id=self.job.run_id, attempt=self.job.attempt, failure=failure)]
        if self.ended:
            return events + self.finish(shelf)
        if self.job.checkpoint_share * self._unsaved_seconds >= self._checkpoint_seconds:
            events.append(self.save())
        return events

    def reduce(self) -> list[Event]:
        """Go back to the beginning of the epoch that did not fit, with half the micro-batch; nothing if that is too small.

        Random streams belong to an epoch, so the state after the one before it is all that it begins from.
        """
        training = self._training
        if not isinstance(training, MicroBatched) or (smaller := training.micro_batch // 2) < _SMALLEST_MICRO_BATCH:
            return []
        del training, self._training
        _free_memory()
        self._training = self._begin()
        if self._state is not None:
            self._training.load_state_dict(self._state)
        if isinstance(self._training, MicroBatched):
            self._training.limit_micro_batch(smaller)
        number = len(self.epochs) + 1
        return [Reduced(run_id=self.job.run_id, attempt=self.job.attempt, epoch=number, micro_batch=smaller)]

    def save(self) -> Saved:
        """Write the checkpoint to resume from; it holds all that the run has, so that it can be believed alone."""
        began = time.perf_counter()
        state = {
            "recipe": self.job.recipe.fingerprint(),
            "epochs": [to_plain(epoch) for epoch in self.epochs],
            "training": self._state or self._training.state_dict(),
            "best": self._snapshot,
        }
        sha256 = checkpoint.write(self._folder.last_checkpoint, state, aside=self._folder.attempt(self.job.attempt))
        self._unsaved_seconds = 0.0
        self._checkpoint_seconds = time.perf_counter() - began
        return Saved(run_id=self.job.run_id, attempt=self.job.attempt, epoch=len(self.epochs), sha256=sha256)

    def finish(self, shelf: "_Shelf") -> list[Event]:
        """Write the checkpoint to predict with, and measure what the job asks for, with that very checkpoint's content."""
        job = self.job
        if self._best is None or self._snapshot is None:
            failure = Failure(kind=FailureKind.DIVERGED, message=f"no epoch has a finite {job.metric.name}")
            return [Failed(run_id=job.run_id, attempt=job.attempt, failure=failure)]
        events: list[Event] = [self.save()] if job.keep_last else []
        state = {"recipe": to_plain(job.recipe), "epoch": self._best.epoch, "snapshot": self._snapshot}
        sha256 = checkpoint.write(self._folder.best_checkpoint, state, aside=self._folder.attempt(job.attempt))
        test = self._measure(shelf) if job.measure == "test" else None
        events.append(
            Finished(run_id=job.run_id, attempt=job.attempt, best_epoch=self._best.epoch, best_sha256=sha256, test=test)
        )
        return events

    def _measure(self, shelf: "_Shelf") -> Evaluation:
        content = checkpoint.read(self._folder.best_checkpoint)
        predictor = plugins.trainer(self.job.recipe.trainer).restore(content["snapshot"], self._device)
        images, labels = shelf.test(self.job.recipe.dataset)
        measured = evaluation(np.asarray(predictor(images), dtype=np.float64), np.asarray(labels))
        reached(CrashPoint.TEST_MEASURED)
        return measured


def evaluation(probabilities: np.ndarray, labels: np.ndarray) -> Evaluation:
    """What predictions, N×classes, are worth on N labels."""
    chosen = probabilities[np.arange(len(labels)), labels]
    loss = float(-np.log(np.maximum(chosen, _SMALLEST_PROBABILITY)).mean())
    return Evaluation(images=len(labels), loss=loss, acc=float((probabilities.argmax(1) == labels).mean()))


@final
class _Shelf:
    """The data of a worker: read once, split once, and kept on the device for all jobs that share data set and split."""

    def __init__(self, folder: Path, device: str) -> None:
        self._folder = folder
        self._device = device
        self._key: tuple[str, Split] | None = None
        self._data: Data | None = None
        self._digest = ""

    def data(self, dataset: str, how: Split) -> tuple[Data, str]:
        """The training and validation images on the device, and the sha256 of all images and labels that were read."""
        if self._data is None or self._key != (dataset, how):
            self._data = None  # room for the new one first
            self._data, self._digest = self._load(dataset, how)
            self._key = (dataset, how)
        return self._data, self._digest

    def test(self, dataset: str) -> tuple[np.ndarray, np.ndarray]:
        """The test images N×C×H×W uint8 and their labels."""
        found = plugins.dataset(dataset).load(self._folder, "test")
        return found.images, found.labels

    def _load(self, dataset: str, how: Split) -> tuple[Data, str]:
        import torch

        source = plugins.dataset(dataset)
        suits = source.suits(self._folder)
        read = source.load(self._folder, "train")
        parts = split(read.labels, seed=how.seed, validation=suits.validation_images, confirmation=suits.confirmation_images)
        train = parts.train if how.train_on == "train" else np.sort(np.concatenate([parts.train, parts.confirmation]))

        def resident(indices: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
            images = torch.from_numpy(read.images[indices]).to(self._device)
            labels = torch.from_numpy(read.labels[indices].astype(np.int64)).to(self._device)
            return images, labels

        train_images, train_labels = resident(train)
        validation_images, validation_labels = resident(parts.validation)
        data = Data(
            train_images=train_images,
            train_labels=train_labels,
            validation_images=validation_images,
            validation_labels=validation_labels,
            suits=suits,
            folder=self._folder,
        )
        digest = hashlib.sha256(np.ascontiguousarray(read.images).data)
        digest.update(np.ascontiguousarray(read.labels).data)
        return data, digest.hexdigest()


def _failed(job: Job, error: Exception) -> Failed:
    """The event for an error that ended a job; the whole traceback goes to the worker's log."""
    with contextlib.suppress(OSError):  # a full disk refuses the log too, and must be told as what it is
        traceback.print_exception(error, file=sys.stderr)
    return Failed(run_id=job.run_id, attempt=job.attempt, failure=described(error))


def _chance(data: Data, training: Training) -> Chance:
    import torch

    smoothing = training.label_smoothing if isinstance(training, SmoothsLabels) else 0.0
    labels = (data.train_labels, data.validation_labels)
    train, validation = (torch.bincount(each, minlength=data.suits.classes).tolist() for each in labels)
    return Chance.of(train, validation, label_smoothing=smoothing)


def _free_memory() -> None:
    """Give back what nothing uses any more, and what the allocator of the device keeps for later."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _limit_threads(threads: int) -> None:
    import torch

    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def _device_name(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})"
