"""Random crops and mirror images.

Zeros are padded before normalisation, as torchvision's RandomCrop(padding=…) does on images.
"""

from typing import final

import torch

from trainers.augmentation.operation import Drawn, happens


@final
class Windows:
    """All crops of zero-padded images (uint8 N×C×H×H) back to their size; `padding` is in pixels on every side.

    The padded copy is made once; a batch of crops is one gather from a view of all windows.
    """

    def __init__(self, images: torch.Tensor, padding: int) -> None:
        count, channels, size, _ = images.shape
        padded = torch.nn.functional.pad(images, (padding,) * 4)
        per_image, per_channel, per_row, per_column = padded.stride()
        offsets = 2 * padding + 1
        # view[i, top, left] is the crop of image i with that corner; no pixel is copied for it
        self._view = padded.as_strided(
            (count, offsets, offsets, channels, size, size),
            (per_image, per_row, per_column, per_channel, per_row, per_column),
        )

    def crop(self, indices: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """The crops of the images with these indices (int64 B) that `RandomCrop` drew for them: uint8 B×C×H×H."""
        return self._view[indices, drawn["top"], drawn["left"]]


@final
class RandomCrop:
    """Implements `Operation`. Draws `top` and `left`, the crop's corner in pixels of the padded image, int64 N."""

    def __init__(self, *, padding: int) -> None:
        self._padding = padding

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """Corners, uniform."""
        top, left = torch.randint(0, 2 * self._padding + 1, (2, count), generator=generator)
        return {"top": top, "left": left}

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """Crops of the size of the images."""
        return Windows(images, self._padding).crop(torch.arange(len(images), device=images.device), drawn)


@final
class RandomFlip:
    """Implements `Operation`. Draws `mirrored`, bool N."""

    def __init__(self, *, probability: float) -> None:
        self._probability = probability

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """Which images are mirrored."""
        return {"mirrored": happens(count, self._probability, generator)}

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """Left for right."""
        return torch.where(drawn["mirrored"].view(-1, 1, 1, 1), images.flip(-1), images)
