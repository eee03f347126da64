"""Crops of random area and shape, resized to the model's size."""

from typing import final

import torch

from trainers.augmentation.boxes import draw_boxes
from trainers.augmentation.operation import Drawn
from trainers.augmentation.resampling import resample, resizing


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
        """Areas uniform up to the whole image, shapes log-uniform, places uniform; the whole image where nothing fits."""
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
