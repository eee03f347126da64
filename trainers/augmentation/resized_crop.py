"""Crops of random area and shape, resized to the model's size."""

from dataclasses import dataclass
from typing import Literal, final

import torch

from trainers.augmentation.boxes import draw_boxes
from trainers.augmentation.operation import Drawn, ImageContext, Operation
from trainers.augmentation.resampling import resample, resizing
from trainers.support.ranges import check_number


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ResizedCrop:
    """A part of the image, of random area and shape, resized to the model's size (RandomResizedCrop; Szegedy et al. 2015)."""

    name: Literal["random-resized-crop"] = "random-resized-crop"
    smallest: float = 0.08  # fraction of the area; uniform up to 1
    ratio: float = 4 / 3  # width to height, at most, either way; log-uniform

    def __post_init__(self) -> None:
        check_number("smallest", self.smallest, 0.01, 1)
        check_number("ratio", self.ratio, 1, 4)
        if self.smallest == 1:
            raise ValueError("smallest 1 leaves the image as it is: no other shape of its whole area fits into it")

    def operation(self, images: ImageContext) -> Operation:
        """The operation on such images."""
        return RandomResizedCrop(smallest=self.smallest, ratio=self.ratio, size=images.size, to=images.model_size)


@final
class RandomResizedCrop:
    """Implements `Operation`. Draws boxes: `top`, `left`, `height`, `width`, in pixels of the images, int64 N.

    `size` is that of the images, `to` what they are resized to, in pixels.
    """

    def __init__(self, *, smallest: float, ratio: float, size: int, to: int) -> None:
        self._smallest = smallest
        self._ratio = ratio
        self._size = size
        self._to = to

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """Areas uniform up to the whole image, shapes log-uniform, positions uniform; the whole image where nothing fits."""
        boxes = draw_boxes(
            count,
            size=self._size,
            largest=self._size,
            areas=(self._smallest, 1),
            ratio=self._ratio,
            generator=generator,
        )
        top, left = (torch.where(boxes.found, corner, 0) for corner in (boxes.top, boxes.left))
        height, width = (torch.where(boxes.found, length, self._size) for length in (boxes.height, boxes.width))
        return {"top": top, "left": left, "height": height, "width": width}

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """uint8 B×C×S×S, S being `to`."""
        vertical = resizing(drawn["top"], drawn["height"], size=self._size, to=self._to)
        horizontal = resizing(drawn["left"], drawn["width"], size=self._size, to=self._to)
        return resample(images, vertical, horizontal)
