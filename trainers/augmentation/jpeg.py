"""What JPEG loses: colour at half the resolution, and the rounding of each 8×8 block's cosine transform (ITU-T T.81).

Only what changes the image is computed, for a whole batch and on any device; the bits that a file would have are not made.
Rounding follows libjpeg (its transform "islow", smooth upsampling), which torchvision and Pillow use.
"""

import functools
import math
from dataclasses import dataclass
from typing import Literal, final

import torch

from trainers.augmentation.operation import Drawn, ImageContext, Operation, check_colours, choose, happens
from trainers.support.ranges import check_probability, check_whole

_BLOCK = 8  # pixels
_ROOT = math.sqrt(_BLOCK)

# The quantisation tables of quality 50, a divisor for each coefficient: ITU-T T.81, tables K.1 (luminance) and K.2 (chrominance).
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8 for _ in range(4)),
)


def jpeg(images: torch.Tensor, qualities: torch.Tensor) -> torch.Tensor:
    """The images (uint8 B×C×H×H, C is 1 or 3) as they come back from JPEG files of these qualities (int64 B, 1 to 100)."""
    luminance, chrominance = _tables(images.device)
    if images.shape[1] == 1:
        return _through_blocks(images.float(), luminance, qualities).to(torch.uint8)
    size = images.shape[-1]
    red, green, blue = images.float().unbind(1)
    luma = (0.299 * red + 0.587 * green + 0.114 * blue).round()
    # Halves are rounded down here, which keeps grey at 128.
    blueness = (-0.168735892 * red - 0.331264108 * green + 0.5 * blue + 128 - 0.5).ceil()
    redness = (0.5 * red - 0.418687589 * green - 0.081312411 * blue + 128 - 0.5).ceil()
    luma = _through_blocks(luma.unsqueeze(1), luminance, qualities).squeeze(1)
    chroma = _halved(torch.stack([blueness, redness], dim=1))
    chroma = _through_blocks(chroma, chrominance, qualities)
    blueness, redness = (_doubled(chroma[..., : (size + 1) // 2])[:, :, :size, :size] - 128).unbind(1)
    decoded = torch.stack(
        [
            luma + (1.402 * redness).round(),
            luma + (-0.344136286 * blueness - 0.714136286 * redness).round(),
            luma + (1.772 * blueness).round(),
        ],
        dim=1,
    )
    return decoded.clamp(0, 255).to(torch.uint8)


def _through_blocks(planes: torch.Tensor, table: torch.Tensor, qualities: torch.Tensor) -> torch.Tensor:
    """float32 B×P×H×W, 0..255, after the transform of its blocks was rounded to multiples of the scaled table."""
    height, width = planes.shape[-2:]
    padded = torch.nn.functional.pad(planes, (0, -width % _BLOCK, 0, -height % _BLOCK), mode="replicate")
    count, channels, down, across = padded.shape
    blocks = padded.view(count, channels, down // _BLOCK, _BLOCK, across // _BLOCK, _BLOCK).transpose(3, 4)
    cosines = _cosines(planes.device)
    # libjpeg has whole numbers after the rows, four to a step of √8, and after the columns: the coefficients in eighths.
    eighths = _rounded(cosines @ _rounded((blocks - 128) @ cosines.T * (4 * _ROOT)) * (_ROOT / 4))
    divisors = _divisors(table, qualities).view(-1, 1, 1, 1, _BLOCK, _BLOCK)
    # Halves are rounded away from 0.
    levels = eighths.sign() * ((eighths.abs() + 4 * divisors) / (8 * divisors)).floor()
    # On the way back the columns come first.
    columns = _rounded(cosines.T @ (levels * divisors) * (4 * _ROOT))
    decoded = _rounded(columns @ cosines / (4 * _ROOT) + 128).clamp(0, 255)
    return decoded.transpose(3, 4).reshape(padded.shape)[:, :, :height, :width]


def _rounded(values: torch.Tensor) -> torch.Tensor:
    """Halves upwards, also those that float arithmetic has just missed."""
    return (values + 0.501).floor()


def _divisors(table: torch.Tensor, qualities: torch.Tensor) -> torch.Tensor:
    """float32 B×8×8: the table at each quality, by libjpeg's rule: halved and doubled at 75 and 25, 1 at least."""
    percent = torch.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities).view(-1, 1, 1)
    return ((table * percent + 50) // 100).clamp(1, 255).float()


@functools.cache
def _tables(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(_LUMINANCE, device=device), torch.tensor(_CHROMINANCE, device=device)


@functools.cache
def _cosines(device: torch.device) -> torch.Tensor:
    """The orthonormal cosine transform of 8 values: float32 8×8, a row per frequency."""
    frequency, position = torch.meshgrid(torch.arange(_BLOCK), torch.arange(_BLOCK), indexing="ij")
    matrix = torch.cos(frequency * (2 * position + 1) * (math.pi / (2 * _BLOCK))) * math.sqrt(2 / _BLOCK)
    matrix[0] /= math.sqrt(2)
    return matrix.to(device)


def _halved(planes: torch.Tensor) -> torch.Tensor:
    """Means of 2×2 pixels, in whole blocks to the right; halves are rounded down in one column and up in the next."""
    size = planes.shape[-1]
    padded = torch.nn.functional.pad(planes, (0, -size % (2 * _BLOCK), 0, size % 2), mode="replicate")
    sums = torch.nn.functional.avg_pool2d(padded, 2, divisor_override=1)
    return ((sums + _alternating(sums.shape[-1], 1, 2, planes.device)) / 4).floor()


def _doubled(planes: torch.Tensor) -> torch.Tensor:
    """Interpolated to twice the size, three quarters from the nearer pixel and one from the next."""
    doubled = torch.nn.functional.interpolate(planes, scale_factor=2, mode="bilinear", align_corners=False)
    return (doubled + _alternating(doubled.shape[-1], 8, 7, planes.device) / 16).floor()


def _alternating(length: int, even: int, odd: int, device: torch.device) -> torch.Tensor:
    return torch.where(torch.arange(length, device=device) % 2 == 0, even, odd)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg:
    """JPEG's losses, its quality drawn per image, uniform over whole numbers (JPEG)."""

    name: Literal["jpeg"] = "jpeg"
    probability: float = 0.5
    worst: int = 40  # quality, of 1 to 100
    best: int = 90

    def __post_init__(self) -> None:
        check_probability(self.probability)
        check_whole("worst", self.worst, 1, 100)
        check_whole("best", self.best, self.worst, 100)

    def operation(self, images: ImageContext) -> Operation:
        """The operation on such images. Raises InvalidInput where they are neither grey nor RGB."""
        check_colours(self.name, images)
        return RandomJpeg(probability=self.probability, worst=self.worst, best=self.best)


@final
class RandomJpeg:
    """Implements `Operation`. Draws `quality`, int64 N, and `happens`, int64 N, 0 or 1."""

    def __init__(self, *, probability: float, worst: int, best: int) -> None:
        self._probability = probability
        self._worst = worst
        self._best = best

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """Qualities, uniform over whole numbers."""
        quality = torch.randint(self._worst, self._best + 1, (count,), generator=generator)
        return {"happens": happens(count, self._probability, generator).long(), "quality": quality}

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """Images of the same shape."""
        return choose(images, drawn["happens"], (None, lambda chosen, row: jpeg(chosen, row["quality"])), drawn)
