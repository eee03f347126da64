"""What can be done to training images, as plain data: the steps of a recipe's `augmentation`, in their order.

    "augmentation": [{"name": "crop", "padding": 4}, "flip", {"name": "rotation", "degrees": 20}]

Each step draws anew for every image and epoch. The names are torchvision's, and so are the distributions.
"""

from dataclasses import dataclass
from typing import Literal

from trainers.support.ranges import check_number, check_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """Zeros around the image, then a crop of its old size at a random place (RandomCrop)."""

    name: Literal["crop"] = "crop"
    padding: int = 4  # pixels on every side

    def __post_init__(self) -> None:
        check_whole("padding", self.padding, 1, 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A mirror image, left for right (RandomHorizontalFlip)."""

    name: Literal["flip"] = "flip"
    probability: float = 0.5

    def __post_init__(self) -> None:
        _check_probability(self.probability)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A turn around the centre, the nearest pixel taken, black outside (RandomRotation)."""

    name: Literal["rotation"] = "rotation"
    degrees: float = 15.0  # at most, either way; uniform

    def __post_init__(self) -> None:
        _check_acts("degrees", self.degrees, 180)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RandAugment:
    """So many operations, each drawn from fourteen, at one strength (Cubuk et al. 2020; torchvision's RandAugment)."""

    name: Literal["rand-augment"] = "rand-augment"
    operations: int = 2
    magnitude: int = 9  # strength, of 0 to 30

    def __post_init__(self) -> None:
        check_whole("operations", self.operations, 1, 14)
        check_whole("magnitude", self.magnitude, 0, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrivialAugment:
    """One operation drawn from fourteen, at a strength drawn from 31 (Müller and Hutter 2021; TrivialAugmentWide)."""

    name: Literal["trivial-augment"] = "trivial-augment"


@dataclass(frozen=True, slots=True, kw_only=True)
class AugMix:
    """Chains of mild operations, mixed with each other and the image (Hendrycks et al. 2020; torchvision's AugMix)."""

    name: Literal["aug-mix"] = "aug-mix"
    severity: int = 3  # strength of the operations, of 1 to 10
    width: int = 3  # chains
    depth: int = 0  # operations in a chain; 0 draws 1 to 3
    alpha: float = 1.0  # of the Dirichlet and Beta distributions of the mixing weights

    def __post_init__(self) -> None:
        check_whole("severity", self.severity, 1, 10)
        check_whole("width", self.width, 1, 8)
        check_whole("depth", self.depth, 0, 8)
        check_number("alpha", self.alpha, 0.01, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomResizedCrop:
    """A part of the image, of random area and shape, resized to the model's size (RandomResizedCrop; Szegedy et al. 2015)."""

    name: Literal["random-resized-crop"] = "random-resized-crop"
    smallest: float = 0.08  # fraction of the area; uniform up to 1
    ratio: float = 4 / 3  # width to height, at most, either way; log-uniform

    def __post_init__(self) -> None:
        check_number("smallest", self.smallest, 0.01, 1)
        check_number("ratio", self.ratio, 1, 4)
        if self.smallest == 1:
            raise ValueError("smallest 1 leaves the image as it is: no other shape of its whole area fits into it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasing:
    """A rectangle of the image's mean colour (Zhong et al. 2020; RandomErasing, which comes after normalisation there)."""

    name: Literal["erasing"] = "erasing"
    probability: float = 0.5
    smallest: float = 0.02  # fraction of the area; uniform
    largest: float = 0.33
    ratio: float = 1 / 0.3  # height to width, at most, either way; log-uniform

    def __post_init__(self) -> None:
        _check_probability(self.probability)
        check_number("smallest", self.smallest, 0.001, 1)
        check_number("largest", self.largest, self.smallest, 1)
        check_number("ratio", self.ratio, 1, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutout:
    """A square of the data set's mean colour at a random centre, cut off at the border (DeVries and Taylor 2017)."""

    name: Literal["cutout"] = "cutout"
    size: int = 8  # pixels, of the images as they come to this step

    def __post_init__(self) -> None:
        check_whole("size", self.size, 1, 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianNoise:
    """Noise on every value, its standard deviation drawn per image, uniform."""

    name: Literal["noise"] = "noise"
    probability: float = 0.5
    largest: float = 0.1  # standard deviation, of the range 0..1

    def __post_init__(self) -> None:
        _check_probability(self.probability)
        _check_acts("largest", self.largest, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianBlur:
    """Blur by a Gaussian whose standard deviation is drawn per image, uniform (GaussianBlur)."""

    name: Literal["blur"] = "blur"
    probability: float = 0.5
    smallest: float = 0.1  # pixels
    largest: float = 1.0  # pixels

    def __post_init__(self) -> None:
        _check_probability(self.probability)
        check_number("smallest", self.smallest, 0.01, 10)
        check_number("largest", self.largest, self.smallest, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg:
    """JPEG's losses, its quality drawn per image, uniform over whole numbers (JPEG)."""

    name: Literal["jpeg"] = "jpeg"
    probability: float = 0.5
    worst: int = 40  # quality, of 1 to 100
    best: int = 90

    def __post_init__(self) -> None:
        _check_probability(self.probability)
        check_whole("worst", self.worst, 1, 100)
        check_whole("best", self.best, self.worst, 100)


Step = (
    Crop
    | Flip
    | Rotation
    | ColorJitter
    | RandAugment
    | TrivialAugment
    | AugMix
    | RandomResizedCrop
    | Erasing
    | Cutout
    | GaussianNoise
    | GaussianBlur
    | Jpeg
)


def _check_probability(value: float) -> None:
    """A step that never happens is an error: a setting that has no effect."""
    _check_acts("probability", value, 1)


def _check_acts(name: str, value: float, high: float) -> None:
    check_number(name, value, 0, high)
    if value == 0:
        raise ValueError(f"{name} 0 would do nothing: leave the step out")
