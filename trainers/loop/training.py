"""The training loop that all models share."""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any, final

import torch

from orchestrator.contracts import SMALLEST_MICRO_BATCH, Capabilities, Data, Diverged, MicroBatch
from orchestrator.errors import BadData
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch
from orchestrator.support.fault_injection import CrashPoint, reached
from orchestrator.support.gpu_memory import is_out_of_memory
from orchestrator.support.seeds import derive
from orchestrator.support.serialization import to_plain
from trainers.augmentation.mixing import Mixer
from trainers.augmentation.pipeline import Draws
from trainers.loop.averaging import AveragedWeights
from trainers.loop.hyperparameters import LoopHyperparameters
from trainers.loop.inputs import TrainingInputs
from trainers.loop.precision import autocast, checked_precision, choose_precision, exact_arithmetic
from trainers.loop.predictor import evaluation_batch
from trainers.loop.preprocessing import EvaluationTransform, Preprocessing, memory_format
from trainers.loop.random_streams import generator, seeded
from trainers.loop.running_phase import RunningPhase, check_run_length


@final
class SupervisedTraining:
    """Implements `contracts.Training` with all of its capabilities.

    Every random stream of an epoch begins at a seed derived from the recipe's seed and the epoch's number, so that no
    generator has a state to save, and nothing else in the process can disturb a run.
    """

    def __init__(
        self,
        *,
        model: torch.nn.Module,
        head: str,
        settings: LoopHyperparameters,
        preprocessing: Preprocessing,
        recipe: Recipe,
        data: Data,
        device: torch.device,
        params: Mapping[str, Any],
    ) -> None:
        images = len(data.train_images)
        self._batch_size = min(settings.batch_size, images)
        self._micro_batch = self._batch_size
        self._steps = images // self._batch_size  # the incomplete last batch is left out: BatchNorm learns badly from few images
        check_run_length(settings, recipe.epochs, self._steps)
        self._model = model.to(device).to(memory_format=memory_format(preprocessing.size))
        self._averaged = AveragedWeights(self._model, settings.averaging, recipe.epochs) if settings.averaging else None
        self._head = head
        self._settings = settings
        self._epochs = recipe.epochs
        self._phase = self._begin_phase(1)
        self._inputs = TrainingInputs(data.train_images, settings, preprocessing, data.info)
        self._mixer = Mixer(settings.mixing, data.info.classes) if settings.mixing else None
        self._transform = EvaluationTransform(preprocessing, device)
        self._preprocessing = preprocessing
        self._precision = choose_precision(settings.precision, device, preprocessing.size)
        self._seed = recipe.seed
        self._data = data
        self._device = device
        self._params = params
        self._val_losses: list[float] = []  # of the epochs that are done
        self._val_accs: list[float] = []

    def epoch(self) -> Epoch:
        """Train on every training image once, in whole batches, then validate. Raises Diverged.

        Raises ValueError after the recipe's last epoch, or once its patience ended it.
        """
        if self._ended:
            raise ValueError(f"the recipe ends after {self._done} epochs")
        started = time.perf_counter()
        number = self._done + 1
        if number > self._phase.last:
            self._phase = self._begin_phase(number)
        losses, train_acc = self._train(number)
        if self._averaged is not None:
            self._averaged.after_epoch(number)
        train_loss = math.fsum(losses) / len(losses)
        val_loss, val_acc = self._validate()
        if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
            raise Diverged(f"in epoch {number} the training loss was {train_loss:g}, the validation loss {val_loss:g}")
        lr = self._phase.rate(number, self._steps - 1, self._val_losses)
        self._val_losses.append(val_loss)
        self._val_accs.append(val_acc)
        return Epoch(
            number=number,
            train_loss=train_loss,
            train_acc=train_acc,
            val_loss=val_loss,
            val_acc=val_acc,
            lr=lr,
            seconds=time.perf_counter() - started,
            batch_losses=tuple(losses),
        )

    @property
    def capabilities(self) -> Capabilities:
        """All that the shared loop offers, as it is after the epochs that are done."""
        return Capabilities(
            precision=self._precision,
            label_smoothing=self._settings.label_smoothing,
            ended=self._ended,
            steps_at_full_rate=self._phase.steps_since_warm_up(self._done),
            micro_batch=MicroBatch(images=self._micro_batch, limit=self._limit_micro_batch),
        )

    @property
    def _ended(self) -> bool:
        """Whether the recipe ends here: after its last epoch, or because its patience with the last phase is at an end."""
        if self._done >= self._epochs:
            return True
        if self._phase.last < self._epochs:
            return False
        # Patience is with the last phase, and with what is kept in the end: the mean, once it is one of several epochs.
        first = max(self._phase.first, self._averaged.first if self._averaged is not None else 1)
        accs = self._val_accs[first - 1 :]
        patience = self._settings.patience
        return bool(patience and accs) and len(accs) - 1 - accs.index(max(accs)) >= patience

    def _limit_micro_batch(self, images: int) -> None:
        """Pass at most so many images through the model at a time, 2 at least, also to validate.

        The gradient of a step stays the exact mean over its batch, but BatchNorm normalises each part by its own statistics,
        and dropout draws differently: the numbers differ from those of whole batches.
        """
        self._micro_batch = min(self._micro_batch, max(images, SMALLEST_MICRO_BATCH))

    def state_dict(self) -> dict[str, Any]:
        """Weights, their mean, optimiser state and what was validated, copied to the CPU; all else follows from these."""
        return {
            "model": _copied(self._model.state_dict()),
            "optimizer": _copied(self._phase.optimizer.state_dict()),
            "averaged": None if self._averaged is None else _copied(self._averaged.state_dict()),
            "precision": self._precision,
            "val_losses": list(self._val_losses),
            "val_accs": list(self._val_accs),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue exactly where `state` was taken.

        The type of products is the state's, whatever this process measured. Raises BadData when it is of another model; the
        training is then unusable, and is to be begun anew.
        """
        try:
            self._precision = checked_precision(state["precision"])
            self._val_losses, self._val_accs = list(map(float, state["val_losses"])), list(map(float, state["val_accs"]))
            self._phase = self._begin_phase(max(self._done, 1))
            self._model.load_state_dict(state["model"])
            self._phase.optimizer.load_state_dict(_copied(state["optimizer"]))
            if self._averaged is not None:
                self._averaged.load_state_dict(state["averaged"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise
            raise BadData(f"this is not a state of this training: {type(error).__name__}: {error}") from error

    def snapshot(self) -> dict[str, Any]:
        """What `SupervisedTrainer.restore` needs; the weights are on the CPU."""
        return {
            "classes": self._data.info.classes,
            "params": to_plain(self._params),
            "preprocessing": self._preprocessing.to_plain(),
            "precision": self._precision,
            "model": _copied(self._validated_model.state_dict()),
        }

    @property
    def _done(self) -> int:
        """Epochs."""
        return len(self._val_losses)

    @property
    def _validated_model(self) -> torch.nn.Module:
        """The model that is validated and kept: with averaged weights, once there are any."""
        return self._averaged.model if self._averaged is not None and self._averaged.begun else self._model

    def _begin_phase(self, number: int) -> RunningPhase:
        return RunningPhase(
            self._model, self._head, self._settings, epochs=self._epochs, steps_per_epoch=self._steps, number=number
        )

    def _train(self, number: int) -> tuple[list[float], float]:
        """One pass: the loss of every step, in nats, and the accuracy over all of them. Waits for the device once, at the end."""
        images = len(self._data.train_images)
        order = torch.randperm(images, generator=generator(derive(self._seed, "shuffling", number))).to(self._device)
        draws = self._inputs.draw(generator(derive(self._seed, "augmentation", number)))
        losses = torch.zeros(self._steps, device=self._device)
        hits = torch.zeros((), dtype=torch.int64, device=self._device)
        self._phase.train_mode()
        with exact_arithmetic(self._device), seeded(derive(self._seed, "dropout", number), self._device):
            for step in range(self._steps):
                chosen = order[step * self._batch_size : (step + 1) * self._batch_size]
                self._phase.begin_step(number, step, self._val_losses)
                for part, inputs, target in self._parts(chosen, draws):
                    with autocast(self._device, self._precision):
                        logits = self._model(inputs)
                    smoothing = self._settings.label_smoothing
                    mean = torch.nn.functional.cross_entropy(logits.float(), target, label_smoothing=smoothing)
                    loss = mean * (len(part) / len(chosen))  # the parts' means add up to the mean over the batch
                    torch.autograd.backward(loss)
                    losses[step] += loss.detach()
                    # Of a mixed image the class that it is most of counts.
                    answers = target if self._mixer is None else target.argmax(dim=1)
                    hits += (logits.detach().argmax(dim=1) == answers).sum()
                self._phase.end_step()
                if self._averaged is not None:
                    self._averaged.after_step()
                reached(CrashPoint.IN_EPOCH)
        return losses.tolist(), int(hits) / (self._steps * self._batch_size)

    def _parts(self, batch: torch.Tensor, draws: Draws) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """The batch in parts of equal size, or nearly: none larger than the micro-batch, if none need be smaller than 2.

        The indices, inputs and targets of each. Mixed images come from the whole batch, however it is parted.
        """
        count = max(min(-(-len(batch) // self._micro_batch), len(batch) // SMALLEST_MICRO_BATCH), 1)
        labels = self._data.train_labels
        if self._mixer is None:
            for part in torch.tensor_split(batch, count):
                yield part, self._inputs.batch(part, draws), labels[part]
            return
        inputs, shares = self._mixer(self._inputs.batch(batch, draws), labels[batch])
        yield from zip(*(torch.tensor_split(whole, count) for whole in (batch, inputs, shares)), strict=True)

    def _validate(self) -> tuple[float, float]:
        """Loss in nats, without label smoothing, and accuracy on the validation images as they are."""
        images, labels = self._data.validation_images, self._data.validation_labels
        loss = torch.zeros((), device=self._device)
        hits = torch.zeros((), dtype=torch.int64, device=self._device)
        size = evaluation_batch(self._preprocessing.size)
        if self._micro_batch < self._batch_size:
            size = min(size, self._micro_batch)
        model = self._validated_model.eval()
        with exact_arithmetic(self._device), torch.inference_mode(), autocast(self._device, self._precision):
            for batch, answers in zip(torch.split(images, size), torch.split(labels, size), strict=True):
                logits = model(self._transform(batch)).float()
                loss += torch.nn.functional.cross_entropy(logits, answers, reduction="sum")
                hits += (logits.argmax(dim=1) == answers).sum()
        return float(loss) / len(images), int(hits) / len(images)


def _copied(state: Any) -> Any:
    """A state with all its tensors copied to the CPU, so that further training does not change it."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {name: _copied(item) for name, item in state.items()}
    if isinstance(state, list | tuple):
        return [_copied(item) for item in state]
    return state
