"""Brightness, contrast, colour and sharpness: a batch of images, each with a strength of its own (float32 B).

Each operation is torchvision's of the same name. Images of one channel have no colour, and stay as they are where that changes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, final

import torch

from orchestrator.errors import InvalidInput
from trainers.augmentation.operation import Drawn, ImageContext, Operation, check_colours, choose, uniform
from trainers.support.ranges import check_number

Adjustment = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def brightness(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """0 is black, 1 leaves the image."""
    return _to_uint8(images * _spread(factors))


def contrast(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """0 is grey, of the image's mean luminance; 1 leaves the image."""
    return _blend(images, _luminance(images).mean(dim=(1, 2, 3), keepdim=True), factors)


def saturation(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """0 has no colour, 1 leaves the image."""
    return images if images.shape[1] == 1 else _blend(images, _luminance(images), factors)


def sharpness(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """0 is smoothed, by a 3×3 filter with 5 in its middle and 1 around it; 1 leaves the image. The outermost pixels stay."""
    if images.shape[-1] <= 2:
        return images
    inner = images[:, :, 1:-1, 1:-1]
    neighbours = torch.nn.functional.avg_pool2d(images.float(), 3, stride=1, divisor_override=1)
    smoothed = ((neighbours + 4 * inner.float()) / 13).round()
    sharpened = images.clone()
    sharpened[:, :, 1:-1, 1:-1] = _blend(inner, smoothed, factors)
    return sharpened


def hue(images: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """Shifts by fractions of the colour circle, in HSV; 0 leaves the image."""
    if images.shape[1] == 1:
        return images
    scaled = images / 255
    red, green, blue = scaled.unbind(1)
    low, value = torch.aminmax(scaled, dim=1)
    chroma = value - low
    divisor = torch.where(chroma == 0, 1.0, chroma)
    sixths = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    turned = sixths + 6 * shifts.view(-1, 1, 1)
    # A channel is at its height from two sixths before its own position on the circle to one after it, and falls on either side.
    channels = [(turned + start) % 6 for start in (5, 3, 1)]
    shifted = torch.stack([value - chroma * torch.minimum(distance, 4 - distance).clamp(0, 1) for distance in channels], dim=1)
    return (shifted * (256 - 1e-3)).to(torch.uint8)  # as torchvision rounds values of 0..1


def posterize(images: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    """Keeps the upper bits of every value: 8 leaves the image, 0 is black."""
    interval = 2 ** (8 - bits.clamp(0, 8).int())
    return images & _spread(256 - interval).to(torch.uint8)


def solarize(images: torch.Tensor, thresholds: torch.Tensor) -> torch.Tensor:
    """Inverts the values from the threshold on, which is on the scale 0..255."""
    return torch.where(images >= _spread(thresholds), images.bitwise_not(), images)


def autocontrast(images: torch.Tensor) -> torch.Tensor:
    """Each channel stretched to 0..255."""
    from torchvision.transforms.v2 import functional

    stretched: torch.Tensor = functional.autocontrast(images)
    return stretched


def equalize(images: torch.Tensor) -> torch.Tensor:
    """Each channel's values changed so that all are nearly as frequent."""
    from torchvision.transforms.v2 import functional

    equalized: torch.Tensor = functional.equalize(images)
    return equalized


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ColorJitter:
    """Brightness, contrast, saturation and hue, in a random order (ColorJitter). Factors are uniform in [1 - x, 1 + x]."""

    name: Literal["color-jitter"] = "color-jitter"
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0  # shift at most, either way, as a fraction of the colour circle

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            check_number(name, getattr(self, name), 0, 1)
        check_number("hue", self.hue, 0, 0.5)
        if not (self.brightness or self.contrast or self.saturation or self.hue):
            raise ValueError("brightness, contrast, saturation and hue are all 0: it would do nothing")

    def operation(self, images: ImageContext) -> Operation:
        """The operation on such images. Raises InvalidInput where they have no colours to change."""
        check_colours(self.name, images)
        if images.channels == 1 and not (self.brightness or self.contrast):
            raise InvalidInput(f"augmentation: {self.name} of saturation or hue does nothing to images of 1 channel")
        return RandomColorJitter(
            brightness_by=self.brightness,
            contrast_by=self.contrast,
            saturation_by=self.saturation,
            hue_by=self.hue,
            channels=images.channels,
        )


@final
class RandomColorJitter:
    """Implements `Operation`, for one or three channels.

    Draws, of the k adjustments that act, `strength` (factors, the shift of the hue; float32 N×k) and their `order` (int64 N×k).
    """

    def __init__(self, *, brightness_by: float, contrast_by: float, saturation_by: float, hue_by: float, channels: int) -> None:
        adjustments: list[tuple[Adjustment, float, float]] = [
            (brightness, 1 - brightness_by, 1 + brightness_by),
            (contrast, 1 - contrast_by, 1 + contrast_by),
        ]
        if channels > 1:
            adjustments += [(saturation, 1 - saturation_by, 1 + saturation_by), (hue, -hue_by, hue_by)]
        self._ranges = [(low, high) for _, low, high in adjustments if low < high]
        self._adjust = [
            partial(_adjust_by_column, adjustment, column)
            for column, adjustment in enumerate(adjustment for adjustment, low, high in adjustments if low < high)
        ]

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """Factors and shifts, uniform; every order is as likely."""
        strengths = [uniform((count,), low, high, generator) for low, high in self._ranges]
        order = torch.rand(count, len(self._ranges), generator=generator).argsort(dim=1)
        return {"strength": torch.stack(strengths, dim=1), "order": order}

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """One adjustment after the other."""
        for position in range(len(self._adjust)):
            images = choose(images, drawn["order"][:, position], self._adjust, drawn)
        return images


def _adjust_by_column(adjustment: Adjustment, column: int, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
    return adjustment(images, drawn["strength"][:, column])


def _luminance(images: torch.Tensor) -> torch.Tensor:
    """float32 B×1×H×H, whole numbers."""
    if images.shape[1] == 1:
        return images.float()
    red, green, blue = images.unbind(1)
    return (red * 0.2989 + green * 0.587 + blue * 0.114).floor().unsqueeze(1)


def _blend(images: torch.Tensor, others: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    factor = _spread(factors)
    return _to_uint8(images * factor + others * (1 - factor))


def _to_uint8(values: torch.Tensor) -> torch.Tensor:
    """Fractions are cut off, as torchvision does."""
    return values.clamp(0, 255).to(torch.uint8)


def _spread(values: torch.Tensor) -> torch.Tensor:
    return values.view(-1, 1, 1, 1)
