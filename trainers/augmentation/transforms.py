"""What can be done to training images, as plain data: the transforms of a recipe's `augmentation`, in their order.

    "augmentation": [{"name": "crop", "padding": 4}, "flip", {"name": "rotation", "degrees": 20}]

Each transform draws anew for every image and epoch. The names are torchvision's, and so are the distributions. A new one is a
dataclass beside its operation, in a file of its own or with its kin, and a line in `Transform`.
"""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.contracts import DataSetInfo
from trainers.augmentation.aug_mix import AugMix
from trainers.augmentation.colour import ColorJitter
from trainers.augmentation.crop_and_flip import Crop, Flip
from trainers.augmentation.geometry import Rotation
from trainers.augmentation.jpeg import Jpeg
from trainers.augmentation.masks import Cutout, Erasing
from trainers.augmentation.noise_and_blur import GaussianBlur, GaussianNoise
from trainers.augmentation.operation import ImageContext, Operation
from trainers.augmentation.policies import RandAugment, TrivialAugment
from trainers.augmentation.resized_crop import ResizedCrop

Transform = (
    Crop
    | Flip
    | Rotation
    | ColorJitter
    | RandAugment
    | TrivialAugment
    | AugMix
    | ResizedCrop
    | Erasing
    | Cutout
    | GaussianNoise
    | GaussianBlur
    | Jpeg
)


def default_transforms(info: DataSetInfo) -> tuple[Transform, ...]:
    """The augmentation of a recipe that names none: the data set's own crop and mirror image."""
    crop: tuple[Transform, ...] = (Crop(padding=info.padding),) if info.padding else ()
    return (*crop, Flip()) if info.flip else crop


def make_operations(transforms: Sequence[Transform], images: ImageContext) -> list[Operation]:
    """The operations of transforms that follow each other, the first one on such images.

    Raises InvalidInput for a transform that does nothing to the images that come to it, or cannot be done to them.
    """
    operations = []
    for transform in transforms:
        operations.append(transform.operation(images))
        if resizes(transform):
            images = replace(images, size=images.model_size)
    return operations


def resizes(transform: Transform) -> bool:
    """Whether images have the model's size after a transform."""
    return isinstance(transform, ResizedCrop)
