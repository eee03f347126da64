"""The augmentation of a recipe: its steps, a whole batch at a time, drawn anew for every image and epoch.

The draws come from a generator on the CPU, once per epoch and for all images, so that every kind of device, and a batch whole
or in parts, trains on the same images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

from orchestrator.contracts import DataSetInfo
from orchestrator.errors import InvalidInput
from trainers.augmentation.aug_mix import RandomAugMix
from trainers.augmentation.colour import RandomColorJitter
from trainers.augmentation.crop_and_flip import RandomCrop, RandomFlip, Windows, worth_keeping
from trainers.augmentation.geometry import RandomRotation
from trainers.augmentation.jpeg import RandomJpeg
from trainers.augmentation.masks import RandomCutout, RandomErasing, nearest_colour
from trainers.augmentation.operation import Drawn, Operation, rows
from trainers.augmentation.policies import RandomPolicy, rand_augment_strengths, trivial_augment_strengths
from trainers.augmentation.quality import RandomBlur, RandomNoise
from trainers.augmentation.resized_crop import RandomResizedCrop
from trainers.augmentation.steps import (
    AugMix,
    ColorJitter,
    Crop,
    Cutout,
    Erasing,
    Flip,
    GaussianBlur,
    GaussianNoise,
    Jpeg,
    RandAugment,
    Rotation,
    Step,
    TrivialAugment,
)
from trainers.augmentation.steps import RandomResizedCrop as RandomResizedCropStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """What one epoch does to each of N images, step by step, on their device."""

    steps: tuple[Drawn, ...]


@final
class Pipeline:
    """The steps of an augmentation, applied to batches of `images`, uint8 N×C×H×H on any device.

    `size` is what the model gets, in pixels: a random resized crop makes images of that size, and without one they keep theirs.
    `mean` is the colour that normalisation turns into 0, per channel on the scale 0..1: what is erased gets it.
    Raises InvalidInput for steps that can do nothing to such images.
    """

    def __init__(self, images: torch.Tensor, steps: Sequence[Step], *, size: int, mean: Sequence[float]) -> None:
        self._images = images
        self._operations = _operations(steps, images, size, mean)
        # A crop that stands first needs to pad the images only once, instead of every batch; a flip after it is cheap then.
        self._windows: Windows | None = None
        self._mirrored = False
        if steps and isinstance(crop := steps[0], Crop) and worth_keeping(images, crop.padding):
            self._mirrored = len(steps) > 1 and isinstance(steps[1], Flip)
            self._windows = Windows(images, padding=crop.padding, mirrored=self._mirrored)

    def draw(self, generator: torch.Generator) -> Draws:
        """The draws of one epoch, from a generator on the CPU."""
        drawn = [operation.draw(len(self._images), generator) for operation in self._operations]
        device = self._images.device
        return Draws(steps=tuple({name: values.to(device) for name, values in step.items()} for step in drawn))

    def batch(self, indices: torch.Tensor, draws: Draws) -> torch.Tensor:
        """The augmented images with these indices (int64 B on the device): uint8 B×C×S×S."""
        drawn = [rows(step, indices) for step in draws.steps]
        todo = list(zip(self._operations, drawn, strict=True))
        # The model may be computed in half precision; places of pixels, and levels, would be wrong in it.
        with torch.autocast(self._images.device.type, enabled=False):
            if self._windows is None:
                batch = self._images[indices]
            else:
                batch = self._windows.crop(indices, drawn[0], drawn[1] if self._mirrored else None)
                del todo[: 1 + self._mirrored]
            for operation, row in todo:
                batch = operation(batch, row)
        return batch


def suitable(info: DataSetInfo) -> tuple[Step, ...]:
    """The augmentation of a recipe that names none: the crop and the mirror image that suit the data set."""
    crop: tuple[Step, ...] = (Crop(padding=info.padding),) if info.padding else ()
    return (*crop, Flip()) if info.flip else crop


def check_steps(steps: Sequence[Step], *, channels: int, pixels: int, size: int) -> None:
    """Raise InvalidInput for steps that do nothing, or cannot be done, to images of so many channels and so many pixels wide.

    `size` is what a random resized crop makes of them, in pixels.
    """
    for step in steps:
        if isinstance(step, Cutout) and step.size >= pixels:
            raise InvalidInput(f"augmentation: a cutout of {step.size} pixels could leave nothing of images of {pixels}")
        if channels not in (1, 3) and not isinstance(step, _ANY_CHANNELS):
            raise InvalidInput(f"augmentation: {step.name} is for images of 1 or 3 channels, and these have {channels}")
        if isinstance(step, RandomResizedCropStep):
            pixels = size
        if channels == 1 and isinstance(step, ColorJitter) and not (step.brightness or step.contrast):
            raise InvalidInput(f"augmentation: {step.name} of saturation or hue does nothing to images of 1 channel")


_ANY_CHANNELS = (Crop, Flip, Rotation, RandomResizedCropStep, Erasing, Cutout, GaussianNoise, GaussianBlur)


def _operations(steps: Sequence[Step], images: torch.Tensor, size: int, mean: Sequence[float]) -> list[Operation]:
    channels, pixels = images.shape[1:3]
    check_steps(steps, channels=channels, pixels=pixels, size=size)
    colour = nearest_colour(mean, images.device)
    operations = []
    for step in steps:
        operations.append(_operation(step, channels=channels, pixels=pixels, size=size, colour=colour))
        if isinstance(step, RandomResizedCropStep):
            pixels = size
    return operations


def _operation(  # noqa: C901, PLR0912 - one case for each step
    step: Step, *, channels: int, pixels: int, size: int, colour: torch.Tensor
) -> Operation:
    """What a step does to images of `pixels` pixels."""
    match step:
        case Crop():
            return RandomCrop(padding=step.padding)
        case Flip():
            return RandomFlip(probability=step.probability)
        case Rotation():
            return RandomRotation(degrees=step.degrees)
        case ColorJitter():
            return RandomColorJitter(
                brightness_by=step.brightness,
                contrast_by=step.contrast,
                saturation_by=step.saturation,
                hue_by=step.hue,
                channels=channels,
            )
        case RandAugment():
            strengths = rand_augment_strengths(pixels)
            return RandomPolicy(strengths=strengths, layers=step.operations, level=step.magnitude, size=pixels)
        case TrivialAugment():
            return RandomPolicy(strengths=trivial_augment_strengths(), layers=1, level=None, size=pixels)
        case AugMix():
            return RandomAugMix(severity=step.severity, width=step.width, depth=step.depth, alpha=step.alpha, size=pixels)
        case RandomResizedCropStep():
            return RandomResizedCrop(smallest=step.smallest, ratio=step.ratio, size=pixels, to=size)
        case Erasing():
            return RandomErasing(
                probability=step.probability,
                smallest=step.smallest,
                largest=step.largest,
                ratio=step.ratio,
                size=pixels,
                colour=colour,
            )
        case Cutout():
            return RandomCutout(side=step.size, size=pixels, colour=colour)
        case GaussianNoise():
            values = channels * pixels**2
            return RandomNoise(probability=step.probability, largest=step.largest, values=values, device=colour.device)
        case GaussianBlur():
            return RandomBlur(probability=step.probability, smallest=step.smallest, largest=step.largest, size=pixels)
        case Jpeg():
            return RandomJpeg(probability=step.probability, worst=step.worst, best=step.best)
