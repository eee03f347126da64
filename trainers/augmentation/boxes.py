"""Random rectangles by area and shape, as RandomErasing and RandomResizedCrop draw them."""

import math
from dataclasses import dataclass
from typing import final

import torch

from trainers.augmentation.operation import uniform

_ATTEMPTS = 10  # torchvision's number


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """N rectangles within a square, in pixels, int64. `found` is false where all attempts were too large: they are then empty."""

    top: torch.Tensor
    left: torch.Tensor
    height: torch.Tensor
    width: torch.Tensor
    found: torch.Tensor


def draw_boxes(
    count: int, *, size: int, largest: int, areas: tuple[float, float], ratio: float, generator: torch.Generator
) -> Boxes:
    """For each of `count` images the first of ten rectangles that is at most `largest` pixels high and wide, and not empty.

    `areas` are fractions of the square of `size` pixels, drawn uniformly; height to width is log-uniform in [1/ratio, ratio].
    """
    shape = (count, _ATTEMPTS)
    area = uniform(shape, *areas, generator).double() * size**2
    aspect = uniform(shape, -math.log(ratio), math.log(ratio), generator).double().exp()
    heights, widths = (area * aspect).sqrt().round().long(), (area / aspect).sqrt().round().long()
    fits = (heights > 0) & (widths > 0) & (heights <= largest) & (widths <= largest)
    found = fits.any(dim=1)
    first = fits.int().argmax(dim=1, keepdim=True)
    height, width = (lengths.gather(1, first).squeeze(1) * found for lengths in (heights, widths))
    top, left = ((torch.rand(count, generator=generator).double() * (size - length + 1)).long() for length in (height, width))
    return Boxes(top=top, left=left, height=height, width=width, found=found)
