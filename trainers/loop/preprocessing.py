"""What happens to every image before a model sees it, in training as in prediction; it travels with the weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, final

import torch

from orchestrator.contracts import DataSetInfo
from orchestrator.errors import InvalidInput

# Pixels. From here on the channels-last layout is faster; on 8×8 images it cost 15-20 % on a 2-core CPU.
_CHANNELS_LAST_FROM = 16


# name -> mean and standard deviation of each channel, on the scale 0..1; what is not here is the data set's own, or one half
_STATISTICS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = MappingProxyType(
    {
        # as the reports of the challenge have it
        "cifar": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
        # what torchvision's weights were trained with
        "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    }
)
NORMALISATIONS = ("data-set", "half", *_STATISTICS)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ImageShape:
    """The images that a model is built for: square, `size` pixels wide."""

    channels: int
    size: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Normalisation and size. `stored` is the shape of the uint8 images that come in.

    They are resized to `resized` pixels, of which the model gets the `size` in the middle.
    """

    mean: tuple[float, ...]  # per channel, on the scale 0..1
    std: tuple[float, ...]
    stored: ImageShape
    resized: int
    size: int

    @property
    def image(self) -> ImageShape:
        """The images as the model gets them."""
        return ImageShape(channels=self.stored.channels, size=self.size)

    def to_plain(self) -> dict[str, Any]:
        """For a snapshot: plain values only."""
        stored = self.stored
        return {
            "mean": list(self.mean),
            "std": list(self.std),
            "channels": stored.channels,
            "stored_size": stored.size,
            "resized": self.resized,
            "size": self.size,
        }

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> "Preprocessing":
        """What `to_plain` gave."""
        return Preprocessing(
            mean=tuple(plain["mean"]),
            std=tuple(plain["std"]),
            stored=ImageShape(channels=plain["channels"], size=plain["stored_size"]),
            resized=plain["resized"],
            size=plain["size"],
        )


def preprocessing(info: DataSetInfo, *, normalisation: str, resize: int, center_crop: int) -> Preprocessing:
    """What a recipe says, for the images of a data set; 0 pixels leave a size as it is.

    A resize to the size that they have is accepted: a plan may search over sizes. Raises InvalidInput
    for a normalisation of other channels than the images have, and for a crop that would cut nothing off.
    """
    resized = resize or info.size
    if center_crop >= resized:
        raise InvalidInput(f"center_crop {center_crop} cuts nothing off images of {resized} pixels")
    mean, std = _statistics(info, normalisation)
    if len(mean) != info.channels:
        raise InvalidInput(f"normalisation {normalisation!r} is for {len(mean)} channels, and the images have {info.channels}")
    stored = ImageShape(channels=info.channels, size=info.size)
    return Preprocessing(mean=mean, std=std, stored=stored, resized=resized, size=center_crop or resized)


def _statistics(info: DataSetInfo, normalisation: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if normalisation == "data-set":
        return info.mean, info.std
    if normalisation == "half":
        half = (0.5,) * info.channels
        return half, half
    return _STATISTICS[normalisation]


def memory_format(size: int) -> torch.memory_format:
    """The layout in which convolutions on images of this size (pixels) are fastest."""
    return torch.channels_last if size >= _CHANNELS_LAST_FROM else torch.contiguous_format


@final
class EvaluationTransform:
    """`Preprocessing` on a device: uint8 N×C×H×W to normalised float32 N×C×size×size, without any random draw."""

    def __init__(self, preprocessing: Preprocessing, device: torch.device) -> None:
        self._resized = preprocessing.resized
        self._resizes = preprocessing.resized != preprocessing.stored.size
        self._shrinks = preprocessing.resized < preprocessing.stored.size
        self._size = preprocessing.size
        self._border = (preprocessing.resized - preprocessing.size) // 2
        self._format = memory_format(preprocessing.size)
        std = torch.tensor(preprocessing.std, device=device).view(-1, 1, 1)
        mean = torch.tensor(preprocessing.mean, device=device).view(-1, 1, 1)
        self._scale = 1.0 / (255.0 * std)
        self._shift = -mean / std
        self._constants: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """`images` must be on the device, in either layout."""
        normalised = self.normalised(images)
        if self._resizes:
            # Shrinking needs the wider filter, or fine patterns turn into false coarse ones.
            normalised = torch.nn.functional.interpolate(normalised, size=self._resized, mode="bilinear", antialias=self._shrinks)
        if self._size == self._resized:
            return normalised
        return normalised[..., self._border : self._border + self._size, self._border : self._border + self._size]

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Only normalised: for images that have the model's size already."""
        scale, shift = self._of_size(images.shape[-1])
        # Bytes are turned into the other layout much faster than floats are.
        return images.contiguous(memory_format=self._format).to(torch.float32).mul_(scale).add_(shift)

    def _of_size(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Scale and shift as large as an image: where colours lie side by side, a value for each would be a loop of three."""
        if size not in self._constants:
            scale, shift = (
                values.expand(1, -1, size, size).contiguous(memory_format=self._format) for values in (self._scale, self._shift)
            )
            self._constants[size] = (scale, shift)
        return self._constants[size]
