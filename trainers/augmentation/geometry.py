"""Rotations, shears and shifts: a batch of images, each moved by a matrix of its own.

A matrix (2×3, in pixels from the middle of the image, x to the right and y downwards) takes a position in the new image to where
it comes from in the old one. What comes from outside is black.
"""

from dataclasses import dataclass
from typing import Literal, final

import torch

from trainers.augmentation.operation import Drawn, ImageContext, Operation, uniform
from trainers.support.ranges import check_positive

Interpolation = Literal["nearest", "bilinear"]


def still(count: int) -> torch.Tensor:
    """float64 N×2×3: matrices that move nothing."""
    return torch.eye(2, 3, dtype=torch.float64).repeat(count, 1, 1)


def rotations(degrees: torch.Tensor) -> torch.Tensor:
    """Matrices that turn by so many degrees (float64 N), counterclockwise, around the middle."""
    cosine, sine = degrees.deg2rad().cos(), degrees.deg2rad().sin()
    matrices = still(len(degrees))
    matrices[:, 0, 0], matrices[:, 0, 1] = cosine, -sine
    matrices[:, 1, 0], matrices[:, 1, 1] = sine, cosine
    return matrices


def horizontal_shears(slopes: torch.Tensor, size: int) -> torch.Tensor:
    """Matrices that shift each row by slope (float64 N) times its distance from the upper edge, to the left."""
    matrices = still(len(slopes))
    matrices[:, 0, 1], matrices[:, 0, 2] = slopes, slopes * size / 2
    return matrices


def vertical_shears(slopes: torch.Tensor, size: int) -> torch.Tensor:
    """Matrices that shift each column by slope (float64 N) times its distance from the left edge, upwards."""
    matrices = still(len(slopes))
    matrices[:, 1, 0], matrices[:, 1, 2] = slopes, slopes * size / 2
    return matrices


def horizontal_shifts(pixels: torch.Tensor) -> torch.Tensor:
    """Matrices that shift by so many pixels (float64 N), the fraction cut off, to the right."""
    matrices = still(len(pixels))
    matrices[:, 0, 2] = -pixels.trunc()
    return matrices


def vertical_shifts(pixels: torch.Tensor) -> torch.Tensor:
    """Matrices that shift by so many pixels (float64 N), the fraction cut off, downwards."""
    matrices = still(len(pixels))
    matrices[:, 1, 2] = -pixels.trunc()
    return matrices


def warp(images: torch.Tensor, matrices: torch.Tensor, interpolation: Interpolation) -> torch.Tensor:
    """The images (uint8 B×C×H×H) moved by their matrices (float32 B×2×3)."""
    size = images.shape[-1]
    line = torch.linspace((1 - size) / 2, (size - 1) / 2, size, device=images.device)
    # grid_sample wants -1 and 1 at the outer edges of the image. No matrix product: GPUs may round its factors to ten bits.
    by_x, by_y, shift = (matrices / (size / 2)).view(-1, 1, 1, 2, 3).unbind(-1)
    sources = by_x * line.view(1, 1, -1, 1) + by_y * line.view(1, -1, 1, 1) + shift
    moved = torch.nn.functional.grid_sample(
        images.float(), sources, mode=interpolation, padding_mode="zeros", align_corners=False
    )
    return moved.round().to(torch.uint8)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A turn around the centre, the nearest pixel taken, black outside (RandomRotation)."""

    name: Literal["rotation"] = "rotation"
    degrees: float = 15.0  # at most, either way; uniform

    def __post_init__(self) -> None:
        check_positive("degrees", self.degrees, 180)

    def operation(self, images: ImageContext) -> Operation:  # noqa: ARG002 - any image can be turned
        """The operation on such images."""
        return RandomRotation(degrees=self.degrees)


@final
class RandomRotation:
    """Implements `Operation`. Draws `matrix`, float32 N×2×3."""

    def __init__(self, *, degrees: float) -> None:
        self._degrees = degrees

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """Angles, uniform up to `degrees` either way."""
        angles = uniform((count,), -self._degrees, self._degrees, generator)
        return {"matrix": rotations(angles.double()).float()}

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """The nearest pixel is taken."""
        return warp(images, drawn["matrix"], "nearest")
