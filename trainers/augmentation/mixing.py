"""Mixing the images of a batch with each other, and their labels with them.

The images and labels themselves are mixed by torchvision, a batch at a time and with one weight per batch; its draws come from
torch's own generator, which the training loop seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import torch

from trainers.support.ranges import check_number, check_probability


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MixUp:
    """Each image becomes a weighted mean with another one; the weight is drawn from Beta(alpha, alpha) (Zhang et al. 2018)."""

    name: Literal["mixup"] = "mixup"
    alpha: float = 0.2
    probability: float = 1.0  # per batch

    def __post_init__(self) -> None:
        _check(self.alpha, self.probability)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CutMix:
    """A rectangle of each image is taken from another one; its area is drawn from Beta(alpha, alpha) (Yun et al. 2019)."""

    name: Literal["cutmix"] = "cutmix"
    alpha: float = 1.0
    probability: float = 1.0  # per batch

    def __post_init__(self) -> None:
        _check(self.alpha, self.probability)


Mix = MixUp | CutMix


def check_mixing(mixing: Sequence[Mix]) -> None:
    """Raise ValueError where more would happen than there are batches: a batch is mixed in one way or not at all."""
    total = sum(mix.probability for mix in mixing)
    if total > 1 + 1e-9:
        raise ValueError(f"the probabilities of mixing add up to {total:g}: at most one thing happens to a batch")


@final
class Mixer:
    """Mixes batches, each in one of the ways of a recipe, or not at all."""

    def __init__(self, mixing: Sequence[Mix], classes: int) -> None:
        self._classes = classes
        self._ways = [(mix.probability, _transform(mix, classes)) for mix in mixing]

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Float images B×C×H×W with labels int64 B: mixed images, and the labels' shares, float32 B×classes.

        The shares of an image add up to 1. Draws from torch's own generator on the CPU.
        """
        drawn = float(torch.rand(()))
        for probability, transform in self._ways:
            if drawn < probability:
                mixed: tuple[torch.Tensor, torch.Tensor] = transform(images, labels)
                return mixed
            drawn -= probability
        return images, torch.nn.functional.one_hot(labels, self._classes).to(torch.float32)


def _transform(mix: Mix, classes: int) -> Any:
    # Imported only where images are mixed: it takes as long as torch itself.
    from torchvision.transforms import v2

    kind = v2.MixUp if isinstance(mix, MixUp) else v2.CutMix
    return kind(alpha=mix.alpha, num_classes=classes)


def _check(alpha: float, probability: float) -> None:
    check_number("alpha", alpha, 0.01, 100)
    check_probability(probability)
