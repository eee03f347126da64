"""The augmentation of a recipe: its transforms, a whole batch at a time, drawn anew for every image and epoch.

The draws come from a generator on the CPU, once per epoch and for all images, so that every kind of device, and a batch whole
or in parts, trains on the same images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

from trainers.augmentation.crop_and_flip import Crop, Flip, Windows, small_enough_to_keep
from trainers.augmentation.operation import Drawn, ImageContext, rows
from trainers.augmentation.transforms import Transform, make_operations


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """What one epoch does to each of N images, transform by transform, on their device."""

    transforms: tuple[Drawn, ...]


@final
class Pipeline:
    """The transforms of an augmentation, applied to batches of `images`, uint8 N×C×H×H on any device.

    `size` is what the model gets, in pixels: a random resized crop makes images of that size, and without one they keep theirs.
    `mean` is the colour that normalisation turns into 0, per channel on the scale 0..1: what is erased gets it.
    Raises InvalidInput for transforms that can do nothing to such images.
    """

    def __init__(self, images: torch.Tensor, transforms: Sequence[Transform], *, size: int, mean: Sequence[float]) -> None:
        channels, pixels = images.shape[1:3]
        context = ImageContext(channels=channels, size=pixels, model_size=size, mean=tuple(mean), device=images.device)
        self._images = images
        self._operations = make_operations(transforms, context)
        # A crop that comes first needs to pad the images only once, instead of every batch; a flip after it is cheap then.
        self._windows: Windows | None = None
        self._mirrored = False
        if transforms and isinstance(crop := transforms[0], Crop) and small_enough_to_keep(images, crop.padding):
            self._mirrored = len(transforms) > 1 and isinstance(transforms[1], Flip)
            self._windows = Windows(images, padding=crop.padding, mirrored=self._mirrored)

    def draw(self, generator: torch.Generator) -> Draws:
        """The draws of one epoch, from a generator on the CPU."""
        drawn = [operation.draw(len(self._images), generator) for operation in self._operations]
        device = self._images.device
        return Draws(transforms=tuple({name: values.to(device) for name, values in one.items()} for one in drawn))

    def batch(self, indices: torch.Tensor, draws: Draws) -> torch.Tensor:
        """The augmented images with these indices (int64 B on the device): uint8 B×C×S×S."""
        drawn = [rows(one, indices) for one in draws.transforms]
        remaining = list(zip(self._operations, drawn, strict=True))
        # The model may be computed in half precision; positions of pixels, and levels, would be wrong in it.
        with torch.autocast(self._images.device.type, enabled=False):
            if self._windows is None:
                batch = self._images[indices]
            else:
                batch = self._windows.crop(indices, drawn[0], drawn[1] if self._mirrored else None)
                del remaining[: 1 + self._mirrored]
            for operation, row in remaining:
                batch = operation(batch, row)
        return batch
