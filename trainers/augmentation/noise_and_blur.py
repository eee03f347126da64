"""Gaussian noise and Gaussian blur."""

import math
from dataclasses import dataclass
from typing import Literal, final

import torch

from trainers.augmentation.operation import Drawn, ImageContext, Operation, choose, happens, uniform
from trainers.augmentation.resampling import blurring, resample
from trainers.support.ranges import check_number, check_positive, check_probability

_OFFSETS = 2**21  # where an image's noise can begin in the table


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianNoise:
    """Noise on every value, its standard deviation drawn per image, uniform."""

    name: Literal["noise"] = "noise"
    probability: float = 0.5
    largest: float = 0.1  # standard deviation, of the range 0..1

    def __post_init__(self) -> None:
        check_probability(self.probability)
        check_positive("largest", self.largest, 1)

    def operation(self, images: ImageContext) -> Operation:
        """The operation on such images."""
        values = images.channels * images.size**2
        return RandomNoise(probability=self.probability, largest=self.largest, values=values, device=images.device)


@final
class RandomNoise:
    """Implements `Operation`. Draws `deviation`, on the scale 0..255, 0 where nothing happens, and `offset`; N each.

    The noise of an image is a stretch of one long table of normally distributed values, which begins at a random offset. So it
    is the same on every device and in every part of a batch, and costs a copy, not a draw. `values` is how many an image has.
    """

    def __init__(self, *, probability: float, largest: float, values: int, device: torch.device) -> None:
        self._probability = probability
        self._largest = largest
        # Any fixed seed will do: what is random are the offsets.
        table = torch.randn(_OFFSETS + values - 1, generator=torch.Generator().manual_seed(0)).to(device)
        self._stretches = table.unfold(0, values, 1)

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """Standard deviations, uniform, and offsets."""
        happening = happens(count, self._probability, generator)
        deviation = uniform((count,), 0, 255 * self._largest, generator) * happening
        return {"deviation": deviation, "offset": torch.randint(0, _OFFSETS, (count,), generator=generator)}

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """Rounded and clipped to 0..255."""
        noise = self._stretches[drawn["offset"]].view(images.shape)
        return (images + noise * drawn["deviation"].view(-1, 1, 1, 1)).round_().clamp_(0, 255).to(torch.uint8)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianBlur:
    """Blur by a Gaussian whose standard deviation is drawn per image, uniform (GaussianBlur)."""

    name: Literal["blur"] = "blur"
    probability: float = 0.5
    smallest: float = 0.1  # pixels
    largest: float = 1.0  # pixels

    def __post_init__(self) -> None:
        check_probability(self.probability)
        check_number("smallest", self.smallest, 0.01, 10)
        check_number("largest", self.largest, self.smallest, 10)

    def operation(self, images: ImageContext) -> Operation:
        """The operation on such images."""
        return RandomBlur(probability=self.probability, smallest=self.smallest, largest=self.largest, size=images.size)


@final
class RandomBlur:
    """Implements `Operation`. Draws `sigma`, in pixels, float32 N, and `happens`, int64 N, 0 or 1."""

    def __init__(self, *, probability: float, smallest: float, largest: float, size: int) -> None:
        self._probability = probability
        self._sigmas = (smallest, largest)
        # Three standard deviations hold 99.7 % of a Gaussian; a mirrored image has no pixels beyond its own width.
        self._radius = min(math.ceil(3 * largest), size - 1)
        self._size = size

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """Standard deviations, uniform."""
        return {
            "happens": happens(count, self._probability, generator).long(),
            "sigma": uniform((count,), *self._sigmas, generator),
        }

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """Rounded."""
        return choose(images, drawn["happens"], (None, self._blur), drawn)

    def _blur(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        weights = blurring(drawn["sigma"], size=self._size, radius=self._radius)
        return resample(images, weights, weights)
