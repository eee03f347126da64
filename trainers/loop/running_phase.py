"""A phase of a run in progress: the parameters it trains, its own optimiser and its own learning rate."""

from collections.abc import Sequence
from typing import final

import torch

from orchestrator.errors import InvalidInput
from trainers.loop.averaging import first_epoch
from trainers.loop.hyperparameters import LoopHyperparameters
from trainers.loop.phases import Phase, phase_at, phases_of_run, set_train_mode, trainable_parameters
from trainers.loop.schedules.base import RunLength
from trainers.loop.schedules.learning_rate import LearningRate


def check_run_length(settings: LoopHyperparameters, epochs: int, steps_per_epoch: int) -> None:
    """Raise InvalidInput for settings that do not fit a run of so many epochs, or would never act in it."""
    phases = phases_of_run(settings.phases, epochs)
    for phase in phases:
        _learning_rate(settings, phase, steps_per_epoch)
    averaged = first_epoch(settings.averaging, epochs) if settings.averaging is not None else 1
    judged = min(phases[-1].epochs, epochs - averaged + 1)
    # The first of them has none to be compared with, and to end after the last one is no end.
    if settings.patience and settings.patience > judged - 2:
        raise InvalidInput(f"patience {settings.patience} can never end a run whose last {judged} epochs are judged by it")


def _learning_rate(settings: LoopHyperparameters, phase: Phase, steps_per_epoch: int) -> LearningRate:
    length = RunLength(epochs=phase.epochs, steps_per_epoch=steps_per_epoch, warmup=settings.warmup)
    return LearningRate(schedule=settings.schedule, peak=settings.learning_rate * phase.rate, length=length)


@final
class RunningPhase:
    """The phase that the epoch with the number `number` belongs to, at its beginning."""

    def __init__(
        self, model: torch.nn.Module, head: str, settings: LoopHyperparameters, *, epochs: int, steps_per_epoch: int, number: int
    ) -> None:
        self._model, self._head = model, head
        phase, self.first = phase_at(phases_of_run(settings.phases, epochs), number)
        self.last = self.first + phase.epochs - 1
        self._phase = phase
        self._parameters = trainable_parameters(model, head, phase)
        self._clip = settings.clip
        self._steps = steps_per_epoch
        self.optimizer = settings.optimizer.make(
            self._parameters, rate=settings.learning_rate, momentum=settings.momentum, decay=settings.weight_decay
        )
        self._learning_rate = _learning_rate(settings, phase, steps_per_epoch)

    def train_mode(self) -> None:
        """Set the layers that this phase trains to training mode, and the others to evaluation."""
        set_train_mode(self._model, self._head, self._phase)

    def begin_step(self, epoch: int, step: int, val_losses: Sequence[float]) -> None:
        """Before the gradients of a step are computed: `epoch` from 1 in the run, `step` from 0 in the epoch."""
        rate = self.rate(epoch, step, val_losses)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)

    def end_step(self) -> None:
        """Move the weights, once the gradients are there."""
        if self._clip:
            torch.nn.utils.clip_grad_norm_(self._parameters, self._clip)
        self.optimizer.step()

    def steps_since_warm_up(self, epochs: int) -> int:
        """Of the steps of this phase, those that are done after so many epochs of the run and came after its warm-up."""
        return max((epochs - self.first + 1) * self._steps - self._learning_rate.length.warmup_steps, 0)

    def rate(self, epoch: int, step: int, val_losses: Sequence[float]) -> float:
        """The learning rate of a step; `val_losses` are those of all epochs of the run that are done."""
        return self._learning_rate.at((epoch - self.first) * self._steps + step, val_losses[self.first - 1 : epoch - 1])
