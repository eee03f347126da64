"""Random crops and mirror images, a whole batch at a time, drawn anew for every image and epoch.

Zeros are padded before normalisation, as torchvision's RandomCrop(padding=…) does on images. The draws come from a generator
on the CPU, once per epoch, so that every kind of device trains on the same images.
"""

from dataclasses import dataclass
from typing import final

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """What one epoch does to each of N images: the crop's upper left corner in pixels, int64 N, and whether it is mirrored."""

    top: torch.Tensor
    left: torch.Tensor
    mirrored: torch.Tensor  # bool N


@final
class RandomCropAndFlip:
    """Crops of the zero-padded images back to their size, mirrored with probability one half where `flip` is set.

    `images` are uint8 N×C×H×H on any device; `padding` is in pixels on every side. The padded copy is made once; a batch is
    one gather from a view of all its windows.
    """

    def __init__(self, images: torch.Tensor, *, padding: int, flip: bool) -> None:
        count, channels, size, _ = images.shape
        padded = torch.nn.functional.pad(images, (padding,) * 4) if padding else images.contiguous()
        per_image, per_channel, per_row, per_column = padded.stride()
        self._offsets = 2 * padding + 1
        self._flip = flip
        self._count = count
        self._device = images.device
        # windows[i, top, left] is the crop of image i with that corner; no pixel is copied for it
        self._windows = padded.as_strided(
            (count, self._offsets, self._offsets, channels, size, size),
            (per_image, per_row, per_column, per_channel, per_row, per_column),
        )

    def draw(self, generator: torch.Generator) -> Draws:
        """The draws of one epoch, from a generator on the CPU. Every stream is drawn, so that switching one keeps the others."""
        top, left = torch.randint(0, self._offsets, (2, self._count), generator=generator).to(self._device)
        mirrored = torch.rand(self._count, generator=generator) < 0.5
        return Draws(top=top, left=left, mirrored=mirrored.to(self._device))

    def batch(self, indices: torch.Tensor, draws: Draws) -> torch.Tensor:
        """The augmented images with these indices (int64 B on the device): uint8 B×C×H×H."""
        crops = self._windows[indices, draws.top[indices], draws.left[indices]]
        if not self._flip:
            return crops
        return torch.where(draws.mirrored[indices].view(-1, 1, 1, 1), crops.flip(-1), crops)
