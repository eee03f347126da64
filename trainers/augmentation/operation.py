"""What a step of the augmentation is made of: draws, a row for each image, and what is done to a batch with its rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch

# What one epoch does to each of N images: tensors of N rows.
Drawn = Mapping[str, torch.Tensor]

Apply = Callable[[torch.Tensor, Drawn], torch.Tensor]


class Operation(Protocol):
    """One step. Images are uint8 B×C×H×H on any device, before and after it."""

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """What an epoch does to each of `count` images, on the CPU, as `generator` is."""

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """The images, each changed as its row says and independent of the others; `images` itself is left as it is."""


def rows(drawn: Drawn, indices: torch.Tensor) -> Drawn:
    """What was drawn for the images with these indices."""
    return {name: values[indices] for name, values in drawn.items()}


def uniform(shape: Sequence[int], low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    """float32 on the CPU, uniform in [low, high)."""
    return torch.rand(*shape, generator=generator) * (high - low) + low


def happens(count: int, probability: float, generator: torch.Generator) -> torch.Tensor:
    """N times true or false, each true with this probability, on the CPU."""
    return torch.rand(count, generator=generator) < probability


def choose(images: torch.Tensor, choice: torch.Tensor, operations: Sequence[Apply | None], drawn: Drawn) -> torch.Tensor:
    """Each image through the operation whose number `choice` (int64 B) holds; None leaves it as it is.

    On a CPU each operation gets only its own images. Elsewhere it gets all of them, and what nobody chose is dropped: to learn
    how many images there are in a group, the CPU would have to wait for the device at every step.
    """
    apply = choose_by_groups if images.device.type == "cpu" else choose_by_masks
    return apply(images, choice, operations, drawn)


def choose_by_groups(
    images: torch.Tensor, choice: torch.Tensor, operations: Sequence[Apply | None], drawn: Drawn
) -> torch.Tensor:
    """`choose`, with the work of one operation per image."""
    chosen = images.clone()
    for number, operation in enumerate(operations):
        group = (choice == number).nonzero().squeeze(1)
        if operation is not None and len(group):
            chosen[group] = operation(images[group], rows(drawn, group))
    return chosen


def choose_by_masks(images: torch.Tensor, choice: torch.Tensor, operations: Sequence[Apply | None], drawn: Drawn) -> torch.Tensor:
    """`choose`, without waiting for the device."""
    chosen = images
    for number, operation in enumerate(operations):
        if operation is not None:
            chosen = torch.where((choice == number).view(-1, 1, 1, 1), operation(images, drawn), chosen)
    return chosen
