"""What a transform does to images: draws, a row for each image, and the change of a batch by its rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, final

import torch

from orchestrator.errors import InvalidInput

# What one epoch does to each of N images: tensors of N rows.
Drawn = Mapping[str, torch.Tensor]

Apply = Callable[[torch.Tensor, Drawn], torch.Tensor]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ImageContext:
    """The images that a transform gets, and what becomes of them after the augmentation."""

    channels: int
    size: int  # pixels, of the images as they come to the transform
    model_size: int  # pixels, of the images that the model gets
    mean: tuple[float, ...]  # the colour that normalisation turns into 0, per channel on the scale 0..1
    device: torch.device

    @property
    def mean_colour(self) -> torch.Tensor:
        """The nearest colour to the mean, uint8 C×1×1 on the device."""
        return torch.tensor(self.mean, device=self.device).mul(255).round().to(torch.uint8).view(-1, 1, 1)


class Operation(Protocol):
    """A transform made for certain images. They are uint8 B×C×H×H on any device, before and after it."""

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """What an epoch does to each of `count` images, on the CPU, as `generator` is."""

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """The images, each changed as its row says and independent of the others; `images` itself is left as it is."""


def check_colours(name: str, images: ImageContext) -> None:
    """Raise InvalidInput, with the transform's name, for images that are neither grey nor RGB."""
    if images.channels not in (1, 3):
        raise InvalidInput(f"augmentation: {name} is for images of 1 or 3 channels, and these have {images.channels}")


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

    On a CPU each operation gets only its own images. Elsewhere it gets all of them, and its result is dropped where it was not
    chosen: to learn how many images there are in a group, the CPU would have to wait for the device at every step.
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
