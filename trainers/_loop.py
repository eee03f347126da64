"""The training loop that all models share."""

import math
import time
from collections.abc import Mapping
from typing import Any, final

import torch

from orchestrator.contracts import Data, Diverged
from orchestrator.crash_points import CrashPoint, reached
from orchestrator.errors import BadData
from orchestrator.plain import to_plain
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch
from orchestrator.seeds import derive
from trainers._optimisation import Optimisation, make_optimizer
from trainers._predictor import EVALUATION_BATCH, autocast
from trainers._preprocessing import EvaluationTransform, Preprocessing, memory_format
from trainers._schedules import Schedule
from trainers._streams import generator, seeded
from trainers.augmentation.pipeline import Pipeline, suitable

_SMALLEST_MICRO_BATCH = 2  # images: BatchNorm cannot normalise one image whose features are single pixels


@final
class SupervisedTraining:
    """Implements `contracts.Training` and `contracts.MicroBatched`.

    Every random stream of an epoch begins at a seed derived from the recipe's seed and the epoch's number, so that no
    generator has a state to save, and nothing else in the process can disturb a run.
    """

    def __init__(
        self,
        *,
        model: torch.nn.Module,
        head: str,
        settings: Optimisation,
        preprocessing: Preprocessing,
        recipe: Recipe,
        data: Data,
        device: torch.device,
        params: Mapping[str, Any],
    ) -> None:
        if device.type == "cuda":
            # The same recipe must give the same numbers: no kernel may be chosen by a race, or add up in no fixed order.
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.deterministic = True
        images = len(data.train_images)
        self._batch_size = min(settings.batch_size, images)
        self._micro_batch = self._batch_size
        self._steps = images // self._batch_size  # the incomplete last batch is left out: BatchNorm learns badly from few images
        self._model = model.to(device).to(memory_format=memory_format(preprocessing.size))
        self._optimizer = make_optimizer(self._model, settings)
        self._schedule = Schedule(
            shape=settings.schedule,
            peak=settings.learning_rate,
            warmup=settings.warmup,
            epochs=recipe.epochs,
            steps_per_epoch=self._steps,
        )
        steps = suitable(data.suits)
        self._augment = Pipeline(data.train_images, steps, size=preprocessing.size, mean=preprocessing.mean)
        self._transform = EvaluationTransform(preprocessing, device)
        self._preprocessing = preprocessing
        self._label_smoothing = settings.label_smoothing
        self._head = head
        self._seed = recipe.seed
        self._epochs = recipe.epochs
        self._data = data
        self._device = device
        self._params = params
        self._done = 0  # epochs

    def epoch(self) -> Epoch:
        """Train on every training image once, in whole batches, then validate. Raises Diverged.

        Raises ValueError after the recipe's last epoch: its schedule has no rate for more.
        """
        if self._done >= self._epochs:
            raise ValueError(f"the recipe ends after {self._epochs} epochs")
        started = time.perf_counter()
        number = self._done + 1
        losses, train_acc = self._train(number)
        train_loss = math.fsum(losses) / len(losses)
        val_loss, val_acc = self._validate()
        if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
            raise Diverged(f"in epoch {number} the training loss was {train_loss:g}, the validation loss {val_loss:g}")
        self._done = number
        return Epoch(
            number=number,
            train_loss=train_loss,
            train_acc=train_acc,
            val_loss=val_loss,
            val_acc=val_acc,
            lr=self._schedule.rate(number * self._steps - 1),
            seconds=time.perf_counter() - started,
            batch_losses=tuple(losses),
        )

    @property
    def micro_batch(self) -> int:
        """Images that pass through the model at a time: the batch, or what `limit_micro_batch` said."""
        return self._micro_batch

    def limit_micro_batch(self, images: int) -> None:
        """Pass at most so many images through the model at a time, 2 at least, also to validate.

        The gradient of a step stays the exact mean over its batch, but BatchNorm normalises each part by its own statistics,
        and dropout draws differently: the numbers differ from those of whole batches.
        """
        self._micro_batch = min(self._micro_batch, max(images, _SMALLEST_MICRO_BATCH))

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser state and the epochs done, copied to the CPU; schedule and random streams follow from the last."""
        return {
            "epoch": self._done,
            "model": _copied(self._model.state_dict()),
            "optimizer": _copied(self._optimizer.state_dict()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue exactly where `state` was taken.

        Raises BadData when it is of another model; the training is then unusable, and is to be begun anew.
        """
        try:
            self._model.load_state_dict(state["model"])
            self._optimizer.load_state_dict(_copied(state["optimizer"]))
            self._done = int(state["epoch"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise BadData(f"this is not a state of this training: {type(error).__name__}: {error}") from error

    def snapshot(self) -> dict[str, Any]:
        """Weights (on the CPU), hyperparameters, preprocessing and the number of classes: all that `Supervised.restore` needs."""
        return {
            "classes": self._data.suits.classes,
            "params": to_plain(self._params),
            "preprocessing": self._preprocessing.to_plain(),
            "model": _copied(self._model.state_dict()),
        }

    def _train(self, number: int) -> tuple[list[float], float]:
        """One pass: the loss of every step, in nats, and the accuracy over all of them. Waits for the device once, at the end."""
        images = len(self._data.train_images)
        order = torch.randperm(images, generator=generator(derive(self._seed, "shuffling", number))).to(self._device)
        draws = self._augment.draw(generator(derive(self._seed, "augmentation", number)))
        losses = torch.zeros(self._steps, device=self._device)
        hits = torch.zeros((), dtype=torch.int64, device=self._device)
        self._model.train()
        with seeded(derive(self._seed, "dropout", number), self._device):
            for step in range(self._steps):
                chosen = order[step * self._batch_size : (step + 1) * self._batch_size]
                self._set_rate(self._schedule.rate((number - 1) * self._steps + step))
                self._optimizer.zero_grad(set_to_none=True)
                for part in self._parts(chosen):
                    labels = self._data.train_labels[part]
                    with autocast(self._device):
                        logits = self._model(self._transform(self._augment.batch(part, draws)))
                    mean = torch.nn.functional.cross_entropy(logits.float(), labels, label_smoothing=self._label_smoothing)
                    loss = mean * (len(part) / len(chosen))  # the parts' means add up to the mean over the batch
                    torch.autograd.backward(loss)
                    losses[step] += loss.detach()
                    hits += (logits.detach().argmax(dim=1) == labels).sum()
                self._optimizer.step()
                reached(CrashPoint.IN_EPOCH)
        return losses.tolist(), int(hits) / (self._steps * self._batch_size)

    def _parts(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The batch in parts of equal size, or nearly: none larger than the micro-batch, if none need be smaller than 2."""
        parts = min(-(-len(batch) // self._micro_batch), len(batch) // _SMALLEST_MICRO_BATCH)
        return torch.tensor_split(batch, parts) if parts > 1 else (batch,)

    def _validate(self) -> tuple[float, float]:
        """Loss in nats, without label smoothing, and accuracy on the validation images as they are."""
        images, labels = self._data.validation_images, self._data.validation_labels
        loss = torch.zeros((), device=self._device)
        hits = torch.zeros((), dtype=torch.int64, device=self._device)
        size = EVALUATION_BATCH if self._micro_batch == self._batch_size else min(EVALUATION_BATCH, self._micro_batch)
        self._model.eval()
        with torch.inference_mode(), autocast(self._device):
            for batch, answers in zip(torch.split(images, size), torch.split(labels, size), strict=True):
                logits = self._model(self._transform(batch)).float()
                loss += torch.nn.functional.cross_entropy(logits, answers, reduction="sum")
                hits += (logits.argmax(dim=1) == answers).sum()
        return float(loss) / len(images), int(hits) / len(images)

    def _set_rate(self, rate: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = rate


def _copied(state: Any) -> Any:
    """A state with all its tensors copied to the CPU, so that further training does not change it."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {name: _copied(item) for name, item in state.items()}
    if isinstance(state, list | tuple):
        return [_copied(item) for item in state]
    return state
