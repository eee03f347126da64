"""Rectangles of one colour: erasing and cutout."""

from collections.abc import Sequence
from typing import final

import torch

from trainers.augmentation.boxes import draw_boxes
from trainers.augmentation.operation import Drawn, happens


def cover(images: torch.Tensor, drawn: Drawn, colour: torch.Tensor) -> torch.Tensor:
    """A rectangle of each image filled with a colour, uint8 C×1×1. `top`, `left`, `height` and `width` are in pixels."""
    line = torch.arange(images.shape[-1], device=images.device)
    top, left = drawn["top"].unsqueeze(1), drawn["left"].unsqueeze(1)
    vertical = (line >= top) & (line < top + drawn["height"].unsqueeze(1))
    horizontal = (line >= left) & (line < left + drawn["width"].unsqueeze(1))
    return torch.where((vertical.unsqueeze(2) & horizontal.unsqueeze(1)).unsqueeze(1), colour, images)


def nearest_colour(mean: Sequence[float], device: torch.device) -> torch.Tensor:
    """uint8 C×1×1 for a colour on the scale 0..1."""
    return torch.tensor(mean, device=device).mul(255).round().to(torch.uint8).view(-1, 1, 1)


@final
class RandomErasing:
    """Implements `Operation`. Draws rectangles (`cover`), empty ones where nothing is erased."""

    def __init__(
        self, *, probability: float, smallest: float, largest: float, ratio: float, size: int, colour: torch.Tensor
    ) -> None:
        self._probability = probability
        self._areas = (smallest, largest)
        self._ratio = ratio
        self._size = size
        self._colour = colour

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """Areas uniform, ratios of height to width log-uniform, the place uniform; a rectangle is smaller than the image."""
        boxes = draw_boxes(
            count, size=self._size, largest=self._size - 1, areas=self._areas, ratio=self._ratio, generator=generator
        )
        erased = happens(count, self._probability, generator) & boxes.found
        return {"top": boxes.top, "left": boxes.left, "height": boxes.height * erased, "width": boxes.width * erased}

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """The rectangles get the colour."""
        return cover(images, drawn, self._colour)


@final
class RandomCutout:
    """Implements `Operation`. Draws squares (`cover`) whose centres are uniform over the pixels; `side` is in pixels."""

    def __init__(self, *, side: int, size: int, colour: torch.Tensor) -> None:
        self._side = side
        self._size = size
        self._colour = colour

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """Corners, which may lie outside."""
        top, left = torch.randint(0, self._size, (2, count), generator=generator) - self._side // 2
        side = torch.full((count,), self._side)
        return {"top": top, "left": left, "height": side, "width": side}

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """The squares get the colour."""
        return cover(images, drawn, self._colour)
