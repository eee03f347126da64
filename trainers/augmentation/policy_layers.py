"""Layers of policies: one operation on each image, drawn from a list. Operations, strengths and signs are torchvision's.

All that moves pixels is one warp with a matrix for each image; every other operation gets the images that drew it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import final

import torch

from trainers.augmentation import colour, geometry
from trainers.augmentation.geometry import Interpolation
from trainers.augmentation.operation import Apply, Drawn, choose

_PUBLISHED_SIZE = 331  # pixels, of the images for which AutoAugment's shifts of at most 150 pixels were found


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Strengths:
    """What the strengths of a policy mean, from the weakest to the strongest: so many, equally spaced.

    Shifts are in pixels; `posterize` is in bits kept. Solarize's threshold falls from the whole range to 0.
    """

    levels: int
    shear: float
    shift: float
    degrees: float
    factor: float  # brightness, colour, contrast and sharpness: from 1 to 1 ± this
    bits: tuple[int, int]


def rand_augment_strengths(size: int) -> Strengths:
    """Of RandAugment, for images of `size` pixels."""
    return Strengths(levels=31, shear=0.3, shift=150 / _PUBLISHED_SIZE * size, degrees=30, factor=0.9, bits=(8, 4))


def trivial_augment_strengths() -> Strengths:
    """Of TrivialAugmentWide, whatever the size of the images."""
    return Strengths(levels=31, shear=0.99, shift=32, degrees=135, factor=0.99, bits=(8, 2))


def aug_mix_strengths(size: int) -> Strengths:
    """Of AugMix, for images of `size` pixels."""
    return Strengths(levels=10, shear=0.3, shift=size / 3, degrees=30, factor=0.9, bits=(4, 0))


# Operations of which half are turned round: to the left instead of the right, darker instead of brighter.
SIGNED = ("shear-x", "shear-y", "translate-x", "translate-y", "rotate", "brightness", "color", "contrast", "sharpness")
AUG_MIX = (*SIGNED, "posterize", "solarize", "autocontrast", "equalize")
ALL = ("identity", *AUG_MIX)

_MOVES: Mapping[str, Callable[[torch.Tensor, int], torch.Tensor]] = MappingProxyType(
    {
        "shear-x": geometry.horizontal_shears,
        "shear-y": geometry.vertical_shears,
        "translate-x": lambda pixels, _: geometry.horizontal_shifts(pixels),
        "translate-y": lambda pixels, _: geometry.vertical_shifts(pixels),
        "rotate": lambda degrees, _: geometry.rotations(degrees),
    }
)

# What the numbers in a layer's `kind` mean, after 0, which leaves an image, and 1, which moves it.
_ADJUSTMENTS: Mapping[str, Apply] = MappingProxyType(
    {
        "brightness": lambda images, drawn: colour.brightness(images, drawn["value"]),
        "color": lambda images, drawn: colour.saturation(images, drawn["value"]),
        "contrast": lambda images, drawn: colour.contrast(images, drawn["value"]),
        "sharpness": lambda images, drawn: colour.sharpness(images, drawn["value"]),
        "posterize": lambda images, drawn: colour.posterize(images, drawn["value"]),
        "solarize": lambda images, drawn: colour.solarize(images, drawn["value"]),
        "autocontrast": lambda images, _: colour.autocontrast(images),
        "equalize": lambda images, _: colour.equalize(images),
    }
)
_KINDS = {name: number for number, name in enumerate(_ADJUSTMENTS, start=2)} | dict.fromkeys(_MOVES, 1) | {"identity": 0}


@final
class Layer:
    """One operation on each image, drawn from `operations` (names in `ALL`), for images of `size` pixels.

    A level is a whole number from 0 to `strengths.levels` - 1, from the weakest to the strongest.
    """

    def __init__(self, operations: Sequence[str], strengths: Strengths, *, size: int, interpolation: Interpolation) -> None:
        self._names = operations
        self._size = size
        # strength of each operation at each level, float64
        self._table = torch.stack([_strengths(name, strengths) for name in operations])
        self._signed = torch.tensor([name in SIGNED for name in operations])
        self._kinds = torch.tensor([_KINDS[name] for name in operations])
        self._apply: Sequence[Apply | None] = (None, partial(_move, interpolation), *_ADJUSTMENTS.values())

    def draw(self, levels: torch.Tensor, generator: torch.Generator) -> Drawn:
        """For images that are changed at these levels (int64 N): `kind` (of operation, int64 N), `value`, `matrix` (N×2×3)."""
        count = len(levels)
        operation = torch.randint(len(self._names), (count,), generator=generator)
        strength = self._table[operation, levels]
        turned = (torch.rand(count, generator=generator) < 0.5) & self._signed[operation]
        return self.described(operation, torch.where(turned, -strength, strength))

    def described(self, operation: torch.Tensor, strength: torch.Tensor) -> Drawn:
        """What `draw` gives for these operations (positions in the list, int64 N) at these signed strengths (float64 N)."""
        matrix = geometry.still(len(operation))
        value = strength.clone()
        for number, name in enumerate(self._names):
            group = (operation == number).nonzero().squeeze(1)
            if name in _MOVES:
                matrix[group] = _MOVES[name](strength[group], self._size)
            elif name in SIGNED:
                value[group] += 1
        return {"kind": self._kinds[operation], "value": value.float(), "matrix": matrix.float()}

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """uint8 B×C×H×H, each by its own operation."""
        return choose(images, drawn["kind"], self._apply, drawn)


def numbered(number: int, drawn: Drawn) -> Drawn:
    """The draws of one of several layers, under names of their own."""
    return {f"{number} {name}": values for name, values in drawn.items()}


def of_number(number: int, drawn: Drawn) -> Drawn:
    """What `numbered` was given."""
    prefix = f"{number} "
    return {name.removeprefix(prefix): values for name, values in drawn.items() if name.startswith(prefix)}


def _move(interpolation: Interpolation, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
    return geometry.warp(images, drawn["matrix"], interpolation)


def _strengths(name: str, strengths: Strengths) -> torch.Tensor:
    """float64, at each level. Float32 in between, as torchvision's are: solarize compares values with them."""
    levels = strengths.levels
    match name:
        case "shear-x" | "shear-y":
            row = torch.linspace(0, strengths.shear, levels)
        case "translate-x" | "translate-y":
            row = torch.linspace(0, strengths.shift, levels)
        case "rotate":
            row = torch.linspace(0, strengths.degrees, levels)
        case "brightness" | "color" | "contrast" | "sharpness":
            row = torch.linspace(0, strengths.factor, levels)
        case "posterize":
            most, fewest = strengths.bits
            row = (most - torch.arange(levels) / ((levels - 1) / (most - fewest))).round()
        case "solarize":
            return torch.linspace(1, 0, levels).double() * 255
        case _:
            row = torch.zeros(levels)
    return row.double()
