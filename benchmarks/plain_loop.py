"""The plain loop: how the reference systems' reports train, in its best honest form. The peer of the shared training loop.

torchvision's CIFAR100 from the real files, PIL transforms image by image, a DataLoader whose workers persist, float32 in the
contiguous layout, an optimiser as it is usually made, `.item()` of the loss and of the correct answers in every step. On a GPU
the batches are pinned and copied without waiting, and cuDNN may choose its kernels by trying them, as careful scripts do.
"""

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms
from torchvision.datasets import CIFAR100

Batches = DataLoader[tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where CIFAR-100 lies, and how it is normalised."""

    folder: Path  # that holds cifar-100-python
    mean: tuple[float, ...]  # per channel, on the scale 0..1
    std: tuple[float, ...]

    def for_training(self, places: Sequence[int]) -> Dataset[Any]:
        """The images at these places of the training file, cropped and mirrored at random."""
        augment = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
        return self._subset(places, augment)

    def for_evaluation(self, places: Sequence[int]) -> Dataset[Any]:
        """The images at these places of the training file, as they are."""
        return self._subset(places, [])

    def _subset(self, places: Sequence[int], augment: Sequence[Callable[[Any], Any]]) -> Dataset[Any]:
        steps = transforms.Compose([*augment, transforms.ToTensor(), transforms.Normalize(self.mean, self.std)])
        images = copy.copy(_training_images(self.folder))
        images.transform = steps
        return Subset(images, places)


@functools.lru_cache(maxsize=1)
def _training_images(folder: Path) -> CIFAR100:
    """The training file, read once: reading takes longer than an epoch of a quick benchmark, and is not what is compared."""
    return CIFAR100(str(folder), train=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """SGD with Nesterov momentum, and the cosine that falls to 0 over the whole run, moved in every step."""

    learning_rate: float
    momentum: float
    weight_decay: float
    epochs: int


def loader(dataset: Dataset[Any], *, batch: int, workers: int, device: torch.device, training: bool) -> Batches:
    """Batches of `batch` images; for training in random order and without the incomplete last one."""
    return DataLoader(
        dataset,
        batch_size=batch,
        shuffle=training,
        drop_last=training,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )


@final
class PlainLoop:
    """A run of the plain loop: epochs of training, each with its evaluation."""

    def __init__(
        self, model: nn.Module, settings: Settings, *, training: Batches, validation: Batches, device: torch.device
    ) -> None:
        self._model = model.to(device)
        self._training = training
        self._validation = validation
        self._device = device
        self._criterion = nn.CrossEntropyLoss()
        self._optimizer = torch.optim.SGD(
            self._model.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=True,
            weight_decay=settings.weight_decay,
        )
        steps = settings.epochs * len(training)
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, T_max=steps)

    def epoch(self) -> float:
        """Train on every image once, then evaluate. Returns the accuracy on the validation images, a fraction."""
        with _kernels():
            self._train()
            return self._evaluate()

    def _train(self) -> None:
        self._model.train()
        total, correct = 0.0, 0
        for images, labels in _on(self._device, self._training):
            self._optimizer.zero_grad()
            logits = self._model(images)
            loss = self._criterion(logits, labels)
            loss.backward()
            self._optimizer.step()
            self._schedule.step()
            total += loss.item() * len(labels)
            correct += (logits.argmax(dim=1) == labels).sum().item()

    def _evaluate(self) -> float:
        self._model.eval()
        total, correct, seen = 0.0, 0, 0
        with torch.no_grad():
            for images, labels in _on(self._device, self._validation):
                logits = self._model(images)
                total += self._criterion(logits, labels).item() * len(labels)
                correct += (logits.argmax(dim=1) == labels).sum().item()
                seen += len(labels)
        return correct / seen


def predict(model: nn.Module, images: Batches, device: torch.device) -> torch.Tensor:
    """Probabilities N×classes (float32, on the CPU) of all images, in their order."""
    model.eval()
    parts = []
    with _kernels(), torch.no_grad():
        for batch, _ in _on(device, images):
            parts.append(model(batch).softmax(dim=1).cpu())
    return torch.cat(parts)


def prepare(images: Batches, device: torch.device) -> int:
    """Take all batches to the device and do nothing with them. Returns how many images there were."""
    return sum(len(labels) for _, labels in _on(device, images))


def _on(device: torch.device, batches: Batches) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for images, labels in batches:
        yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)


def _kernels() -> AbstractContextManager[None]:
    """The plain loop's own choice, whatever else this process trained before."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False)
