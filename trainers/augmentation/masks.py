"""Rectangles of one colour: erasing and cutout."""

from dataclasses import dataclass
from typing import Literal, final

import torch

from orchestrator.errors import InvalidInput
from trainers.augmentation.boxes import draw_boxes
from trainers.augmentation.operation import Drawn, ImageContext, Operation, happens
from trainers.support.ranges import check_number, check_probability, check_whole


def cover(images: torch.Tensor, drawn: Drawn, colour: torch.Tensor) -> torch.Tensor:
    """A rectangle of each image filled with a colour, uint8 C×1×1. `top`, `left`, `height` and `width` are in pixels."""
    line = torch.arange(images.shape[-1], device=images.device)
    top, left = drawn["top"].unsqueeze(1), drawn["left"].unsqueeze(1)
    vertical = (line >= top) & (line < top + drawn["height"].unsqueeze(1))
    horizontal = (line >= left) & (line < left + drawn["width"].unsqueeze(1))
    return torch.where((vertical.unsqueeze(2) & horizontal.unsqueeze(1)).unsqueeze(1), colour, images)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Erasing:
    """A rectangle of the image's mean colour (Zhong et al. 2020; RandomErasing, which comes after normalisation there)."""

    name: Literal["erasing"] = "erasing"
    probability: float = 0.5
    smallest: float = 0.02  # fraction of the area; uniform
    largest: float = 0.33
    ratio: float = 1 / 0.3  # height to width, at most, either way; log-uniform

    def __post_init__(self) -> None:
        check_probability(self.probability)
        check_number("smallest", self.smallest, 0.001, 1)
        check_number("largest", self.largest, self.smallest, 1)
        check_number("ratio", self.ratio, 1, 10)

    def operation(self, images: ImageContext) -> Operation:
        """The operation on such images."""
        return RandomErasing(
            probability=self.probability,
            smallest=self.smallest,
            largest=self.largest,
            ratio=self.ratio,
            size=images.size,
            colour=images.mean_colour,
        )


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
        """Areas uniform, ratios of height to width log-uniform, the position uniform; a rectangle is smaller than the image."""
        boxes = draw_boxes(
            count, size=self._size, largest=self._size - 1, areas=self._areas, ratio=self._ratio, generator=generator
        )
        erased = happens(count, self._probability, generator) & boxes.found
        return {"top": boxes.top, "left": boxes.left, "height": boxes.height * erased, "width": boxes.width * erased}

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """The rectangles get the colour."""
        return cover(images, drawn, self._colour)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Cutout:
    """A square of the data set's mean colour at a random centre, cut off at the border (DeVries and Taylor 2017)."""

    name: Literal["cutout"] = "cutout"
    size: int = 8  # pixels, of the images as they come to this transform

    def __post_init__(self) -> None:
        check_whole("size", self.size, 1, 1024)

    def operation(self, images: ImageContext) -> Operation:
        """The operation on such images. Raises InvalidInput where it could cover them entirely."""
        if self.size >= images.size:
            raise InvalidInput(
                f"augmentation: a cutout of {self.size} pixels could cover images of {images.size} pixels entirely"
            )
        return RandomCutout(side=self.size, size=images.size, colour=images.mean_colour)


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
