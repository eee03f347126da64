"""AugMix (Hendrycks et al. 2020): chains of mild operations, mixed with each other and with the image."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import torch

from trainers.augmentation.operation import Drawn, ImageContext, Operation, check_colours
from trainers.augmentation.policy_layers import AUG_MIX, Layer, aug_mix_strengths, numbered, of_number
from trainers.support.ranges import check_number, check_whole

_DEEPEST = 3  # operations in a chain whose depth is drawn


@final
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

    def operation(self, images: ImageContext) -> Operation:
        """The operation on such images. Raises InvalidInput where they are neither grey nor RGB."""
        check_colours(self.name, images)
        return RandomAugMix(severity=self.severity, width=self.width, depth=self.depth, alpha=self.alpha, size=images.size)


@final
class RandomAugMix:
    """Implements `Operation`. Draws a layer for each position in each chain, and the `weight` of the image and of each chain.

    Operations are drawn with levels below `severity`; `depth` 0 draws 1 to 3 operations for each chain.
    """

    def __init__(self, *, severity: int, width: int, depth: int, alpha: float, size: int) -> None:
        self._severity = severity
        self._width = width
        self._depth = depth
        self._alpha = alpha
        self._layer = Layer(AUG_MIX, aug_mix_strengths(size), size=size, interpolation="bilinear")

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """Weights: Beta for the image, and the rest Dirichlet for the chains; float32 N×(1 + width)."""
        # torch has no public way to draw from these distributions with a given generator.
        seed = int(torch.randint(2**62, (), generator=generator))
        stream = np.random.default_rng(seed)
        image = stream.beta(self._alpha, self._alpha, size=(count, 1))
        chains = stream.dirichlet([self._alpha] * self._width, size=count) * (1 - image)
        weights = torch.from_numpy(np.concatenate([image, chains], axis=1)).float()
        drawn: dict[str, torch.Tensor] = {"weight": weights}
        for chain in range(self._width):
            depth = torch.full((count,), self._depth)
            if not self._depth:
                depth = torch.randint(1, _DEEPEST + 1, (count,), generator=generator)
            for position in range(self._longest):
                levels = torch.randint(self._severity, (count,), generator=generator)
                layer = dict(self._layer.draw(levels, generator))
                layer["kind"] = layer["kind"] * (position < depth)  # 0 leaves the image
                drawn |= numbered(chain * self._longest + position, layer)
        return drawn

    def __call__(self, images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
        """Fractions are cut off, as torchvision does."""
        weights = drawn["weight"].view(len(images), -1, 1, 1, 1)
        mixed = weights[:, 0] * images
        for chain in range(self._width):
            changed = images
            for position in range(self._longest):
                changed = self._layer(changed, of_number(chain * self._longest + position, drawn))
            mixed += weights[:, 1 + chain] * changed
        return mixed.clamp_(0, 255).to(torch.uint8)

    @property
    def _longest(self) -> int:
        return self._depth or _DEEPEST
