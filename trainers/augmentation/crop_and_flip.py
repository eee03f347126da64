"""Random crops and mirror images.

Zeros are padded before normalisation, as torchvision's RandomCrop(padding=…) does on images.
"""

from dataclasses import dataclass
from typing import Literal, final

import torch

from trainers.augmentation.operation import Drawn, ImageContext, Operation, happens
from trainers.support.ranges import check_probability, check_whole

# For images that are kept padded, and beside their mirror images: of small ones they take little; of large ones the model is what
# takes time.
_MOST_BYTES = 2**30
_AT_A_TIME = 500  # images that are padded: few enough to stay in a processor's cache


@final
class Windows:
    """All crops of zero-padded images (uint8 N×C×H×H) back to their size, and their mirror images where `mirrored` is set.

    `padding` is in pixels on every side. The padded copy is made once, and a batch is one gather from a view of all windows. The
    colours of a pixel lie side by side in it, which is how convolutions want them: to turn every batch took longer than all else.
    """

    def __init__(self, images: torch.Tensor, *, padding: int, mirrored: bool) -> None:
        count, channels, size, _ = images.shape
        offsets, width = 2 * padding + 1, size + 2 * padding
        inside = slice(padding, padding + size)
        sides = 2 if mirrored else 1
        padded = images.new_zeros(count, sides, width, width, channels)
        for part, target in zip(torch.split(images, _AT_A_TIME), torch.split(padded, _AT_A_TIME), strict=True):
            pixels = part.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
            target[:, 0, inside, inside] = pixels
            if mirrored:
                target[:, 1, inside, inside] = pixels.flip(2)
        per_image, per_side, per_row, per_column, _ = padded.stride()
        # view[i, side, top, left] is the crop of image i with that corner; no pixel is copied for it
        self._view = padded.as_strided(
            (count, sides, offsets, offsets, size, size * channels),
            (per_image, per_side, per_row, per_column, per_row, 1),
        )
        self._shape = (-1, size, size, channels)
        self._farthest = 2 * padding

    def crop(self, indices: torch.Tensor, crop: Drawn, flip: Drawn | None) -> torch.Tensor:
        """The images with these indices (int64 B) as `RandomCrop` and, where there is one, `RandomFlip` drew: uint8 B×C×H×H."""
        top, left = crop["top"], crop["left"]
        side = torch.zeros_like(top)
        if flip is not None:
            side, left = flip["mirrored"].long(), torch.where(flip["mirrored"], self._farthest - left, left)
        return self._view[indices, side, top, left].view(self._shape).permute(0, 3, 1, 2)


def small_enough_to_keep(images: torch.Tensor, padding: int) -> bool:
    """Whether padded images, and mirror images, are kept of uint8 N×C×H×H, instead of being made in every batch."""
    count, channels, size, _ = images.shape
    return count * channels * (size + 2 * padding) ** 2 <= _MOST_BYTES


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """Zeros around the image, then a crop of its old size at a random position (RandomCrop)."""

    name: Literal["crop"] = "crop"
    padding: int = 4  # pixels on every side

    def __post_init__(self) -> None:
        check_whole("padding", self.padding, 1, 128)

    def operation(self, images: ImageContext) -> Operation:  # noqa: ARG002 - any image can be padded
        """The operation on such images."""
        return RandomCrop(padding=self.padding)


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
        windows = Windows(images, padding=self._padding, mirrored=False)
        return windows.crop(torch.arange(len(images), device=images.device), drawn, None)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A mirror image, left for right (RandomHorizontalFlip)."""

    name: Literal["flip"] = "flip"
    probability: float = 0.5

    def __post_init__(self) -> None:
        check_probability(self.probability)

    def operation(self, images: ImageContext) -> Operation:  # noqa: ARG002 - any image can be mirrored
        """The operation on such images."""
        return RandomFlip(probability=self.probability)


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
