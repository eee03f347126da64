"""One job of a worker between two epochs: its training, its checkpoints, its measurement."""

import math
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from orchestrator import plugins
from orchestrator.contracts import SMALLEST_MICRO_BATCH, Capabilities, Data, Training
from orchestrator.data_identity import DataIdentity, DataReading
from orchestrator.errors import BadData
from orchestrator.jobs import Event, Failed, Finished, Job, Measured, Reduced, Saved
from orchestrator.record import Best, Epoch, Evaluation, Failure, FailureKind
from orchestrator.storage import checkpoint
from orchestrator.storage.run_folder import RunFolder
from orchestrator.support.disk_lookups import is_file
from orchestrator.support.fault_injection import CrashPoint, reached
from orchestrator.support.gpu_memory import free_memory, gpu_memory, is_out_of_memory
from orchestrator.support.serialization import dumps, from_plain, to_plain
from orchestrator.worker.data import DeviceData
from orchestrator.worker.divergence import ChanceLevel, divergence_reason
from orchestrator.worker.evaluation import checked_probabilities, evaluation

# Seconds that the first checkpoint is taken to cost, until one was measured: a ResNet-18 with momentum takes .2 to .5.
_FIRST_CHECKPOINT_SECONDS = 0.2

_UNUSABLE = (BadData, KeyError, TypeError, ValueError, RuntimeError)  # what reading a checkpoint of other content may raise


@final
class RunningJob:
    """One job between two epochs."""

    def __init__(self, job: Job, begin: Callable[[], Training], device: str, data: Data, identity: DataIdentity) -> None:
        self.job = job
        self.granted = job.until_epoch
        self.epochs: list[Epoch] = []
        self._begin = begin
        self._training = begin()
        if job.micro_batch:
            self._limit_micro_batch(job.micro_batch)
        self._state: dict[str, Any] | None = None  # of the training after its last epoch, where it can do with less memory
        self._device = device
        self._identity = identity
        self._classes = data.info.classes
        self._chance = _chance(data, self._capabilities.label_smoothing)
        self._folder = RunFolder(Path(job.folder))
        self._best: Best | None = None
        self._snapshot: dict[str, Any] | None = None
        self._unsaved_seconds = 0.0
        self._checkpoint_seconds = _FIRST_CHECKPOINT_SECONDS

    @property
    def ended(self) -> bool:
        """Whether the recipe has nothing more to train."""
        return self._capabilities.ended or len(self.epochs) >= self.job.recipe.epochs

    @property
    def precision(self) -> str:
        """The type in which it computes; "" where the trainer does not say."""
        return self._capabilities.precision

    @property
    def _capabilities(self) -> Capabilities:
        return self._training.capabilities

    def _at_full_rate(self) -> int:
        """Steps done since the warm-up; all of them where the trainer has none."""
        steps = self._capabilities.steps_at_full_rate
        return sum(len(epoch.batch_losses) for epoch in self.epochs) if steps is None else steps

    def _limit_micro_batch(self, images: int) -> None:
        if micro_batch := self._capabilities.micro_batch:
            micro_batch.limit(images)

    def resume(self) -> str:
        """Continue from the last checkpoint. Returns "" or why it was not used.

        Raises DiskError for one that cannot be read, BadData for one that was trained on other data: its epochs are of those.
        """
        if not is_file(self._folder.last_checkpoint):
            return ""
        try:
            state = checkpoint.read(self._folder.last_checkpoint)
            if state["recipe"] != self.job.recipe.fingerprint():
                raise BadData(f"{self._folder.last_checkpoint} belongs to another recipe")
            epochs = [from_plain(Epoch, epoch) for epoch in state["epochs"]]
            # Versions that did not keep it leave the comparison to the records.
            trained_on = from_plain(DataIdentity, state["data"]) if "data" in state else self._identity
        except _UNUSABLE as error:
            return _trained_again(error)
        if what := trained_on.training_difference(self._identity):
            raise BadData(
                f"{self._folder.last_checkpoint} was trained on other data than {self.job.recipe.dataset} is now: {what}"
            )
        try:
            self._training.load_state_dict(state["training"])
            reached(CrashPoint.STATE_LOADED)
        except _UNUSABLE as error:
            return _trained_again(error)
        self.epochs = epochs
        self._state = state["training"]
        self._snapshot = state["best"]
        self._best = self.job.metric.best(epochs)
        return ""

    def step(self, device_data: "DeviceData") -> list[Event]:
        """Train one epoch, and say what came of it."""
        began = time.perf_counter()
        epoch = self._training.epoch()
        if not (math.isfinite(epoch.seconds) and epoch.seconds >= 0):  # by a clock that was set meanwhile
            epoch = replace(epoch, seconds=time.perf_counter() - began)
        reached(CrashPoint.EPOCH_TRAINED)
        _check_recordable(epoch)
        self.epochs.append(epoch)
        self._state = self._training.state_dict() if self._capabilities.micro_batch else None
        self._unsaved_seconds += epoch.seconds
        best = self.job.metric.best(self.epochs)
        if best is not None and best.epoch == epoch.number:
            self._best, self._snapshot = best, self._training.snapshot()
        memory = gpu_memory(self._device)
        events: list[Event] = [Measured(run_id=self.job.run_id, attempt=self.job.attempt, epoch=epoch, memory=memory)]
        if why := divergence_reason(self.epochs, self._chance, at_full_rate=self._at_full_rate(), last=self.ended):
            failure = Failure(kind=FailureKind.DIVERGED, message=why)
            return [*events, Failed(run_id=self.job.run_id, attempt=self.job.attempt, failure=failure)]
        if self.ended:
            return events + self.finish(device_data)
        if self.job.checkpoint_share * self._unsaved_seconds >= self._checkpoint_seconds:
            events.append(self.save())
        return events

    def reduce(self) -> list[Event]:
        """Go back to the beginning of the epoch that did not fit, with half the micro-batch; nothing if that is too small.

        Random streams belong to an epoch, so the state after the one before it is all that it begins from.
        """
        micro_batch = self._capabilities.micro_batch
        if micro_batch is None or (smaller := micro_batch.images // 2) < SMALLEST_MICRO_BATCH:
            return []
        del micro_batch, self._training  # both hold the model
        free_memory()
        self._training = self._begin()
        if self._state is not None:
            self._training.load_state_dict(self._state)
        self._limit_micro_batch(smaller)
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
            "data": to_plain(self._identity),
        }
        sha256 = checkpoint.write(self._folder.last_checkpoint, state, aside=self._folder.attempt_folder(self.job.attempt))
        self._unsaved_seconds = 0.0
        self._checkpoint_seconds = time.perf_counter() - began
        return Saved(run_id=self.job.run_id, attempt=self.job.attempt, epoch=len(self.epochs), sha256=sha256)

    def finish(self, device_data: "DeviceData") -> list[Event]:
        """Write the checkpoint to predict with, and measure what the job asks for, with that very checkpoint's content."""
        job = self.job
        if self._best is None or self._snapshot is None:
            failure = Failure(kind=FailureKind.DIVERGED, message=f"no epoch has a finite {job.metric.name}")
            return [Failed(run_id=job.run_id, attempt=job.attempt, failure=failure)]
        events: list[Event] = [self.save()] if job.keep_last else []
        test = device_data.test(self._identity) if job.measure == "test" else None
        identity = self._identity if test is None else replace(self._identity, test_digest=test.identity.test_digest)
        state = {
            "recipe": to_plain(job.recipe),
            "epoch": self._best.epoch,
            "snapshot": self._snapshot,
            "data": to_plain(identity),
        }
        sha256 = checkpoint.write(self._folder.best_checkpoint, state, aside=self._folder.attempt_folder(job.attempt))
        measured = self._measure(test) if test is not None else None
        events.append(
            Finished(run_id=job.run_id, attempt=job.attempt, best_epoch=self._best.epoch, best_sha256=sha256, test=measured)
        )
        return events

    def _measure(self, test: DataReading) -> Evaluation:
        content = checkpoint.read(self._folder.best_checkpoint)
        predictor = plugins.trainer(self.job.recipe.trainer).restore(content["snapshot"], self._device)
        images, labels = test.parts["test"].images, test.parts["test"].labels
        probabilities = checked_probabilities(predictor(images), len(images), self._classes)
        measured = evaluation(probabilities.astype(np.float64), labels)
        reached(CrashPoint.TEST_MEASURED)
        return replace(measured, digest=test.identity.test_digest)


def _trained_again(error: Exception) -> str:
    if is_out_of_memory(error):  # the checkpoint is sound, and stays
        raise error
    return f"trained again from the beginning: {error}"


def _check_recordable(epoch: Epoch) -> None:
    """An epoch that cannot be recorded is its trainer's failure, told here and not on the way out. Raises TypeError."""
    for field in fields(epoch):
        try:
            dumps(value := getattr(epoch, field.name))
        except (TypeError, ValueError) as error:
            raise TypeError(f"{field.name} of the epoch is a {type(value).__name__} that cannot be recorded: {error}") from error


def _chance(data: Data, label_smoothing: float) -> ChanceLevel:
    import torch

    labels = (data.train_labels, data.validation_labels)
    train, validation = (torch.bincount(each, minlength=data.info.classes).tolist() for each in labels)
    return ChanceLevel.of(train, validation, label_smoothing=label_smoothing)
