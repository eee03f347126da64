"""Policies: layers of operations, at drawn or fixed strengths, as torchvision has them."""

from dataclasses import dataclass
from typing import Literal, final

import torch

from trainers.augmentation.operation import Drawn, ImageContext, Operation, check_colours
from trainers.augmentation.policy_layers import (
    ALL,
    Layer,
    Strengths,
    numbered,
    of_number,
    rand_augment_strengths,
    trivial_augment_strengths,
)
from trainers.support.ranges import check_whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RandAugment:
    """So many operations, each drawn from fourteen, at one strength (Cubuk et al. 2020; torchvision's RandAugment)."""

    name: Literal["rand-augment"] = "rand-augment"
    operations: int = 2
    magnitude: int = 9  # strength, of 0 to 30

    def __post_init__(self) -> None:
        check_whole("operations", self.operations, 1, 14)
        check_whole("magnitude", self.magnitude, 0, 30)

    def operation(self, images: ImageContext) -> Operation:
        """The operation on such images. Raises InvalidInput where they are neither grey nor RGB."""
        check_colours(self.name, images)
        strengths = rand_augment_strengths(images.size)
        return RandomPolicy(strengths=strengths, layers=self.operations, level=self.magnitude, size=images.size)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrivialAugment:
    """One operation drawn from fourteen, at a strength drawn from 31 (Müller and Hutter 2021; TrivialAugmentWide)."""

    name: Literal["trivial-augment"] = "trivial-augment"

    def operation(self, images: ImageContext) -> Operation:
        """The operation on such images. Raises InvalidInput where they are neither grey nor RGB."""
        check_colours(self.name, images)
        return RandomPolicy(strengths=trivial_augment_strengths(), layers=1, level=None, size=images.size)


@final
class RandomPolicy:
    """Implements `Operation`: some layers, one after the other, at a level that is given, or else drawn for every image."""

    def __init__(self, *, strengths: Strengths, layers: int, level: int | None, size: int) -> None:
        self._levels = strengths.levels
        self._level = level
        self._layers = layers
        self._layer = Layer(ALL, strengths, size=size, interpolation="nearest")

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """The layers' draws, each value's name with the layer's number before it."""
        drawn: dict[str, torch.Tensor] = {}
        for layer in range(self._layers):
            if self._level is None:
                levels = torch.randint(self._levels, (count,), generator=generator)
            else:
                levels = torch.full((count,), self._level)
            drawn |= numbered(layer, self._layer.draw(levels, generator))
        return drawn

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """One layer after the other."""
        for layer in range(self._layers):
            images = self._layer(images, of_number(layer, drawn))
        return images
