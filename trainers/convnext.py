"""ConvNeXts (Liu et al. 2022) as torchvision builds them, from scratch or from pretrained weights.

Torchvision's stochastic depth is kept: in training a block is skipped for an image with a probability that grows with its depth.
"""

from dataclasses import dataclass
from typing import Literal, cast, final

from torch import nn

from orchestrator.errors import InvalidInput
from trainers.loop.trainer import ImageShape, SupervisedTrainer
from trainers.pretrained import weight_files
from trainers.pretrained.architectures import architectures, fit_first_convolution, network
from trainers.pretrained.head import HeadLayer, check_head, make_head
from trainers.pretrained.loading import Pretrained
from trainers.support.ranges import check_choice

_FIRST = "features.0.0"
_CLASSES = "classifier.2"
_SMALLEST = {"small": 7, "stock": 32}  # stem -> pixels of which three halvings, after it, leave one


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """Which network, with which first and last layers, from which weights.

    The stem `stock` is a 4×4 convolution that shrinks the image four times; `small` is the same one moved by single pixels, for
    small images. Pretrained weights fit both.
    """

    architecture: str = "convnext_tiny"
    stem: Literal["small", "stock"] = "small"
    head: tuple[HeadLayer, ...] = ()  # dense layers between the features, which a LayerNorm ends, and the last one
    dropout: float = 0.0  # fraction of the last layer's inputs that is dropped
    weights: str = ""  # a torchvision name, "IMAGENET1K_V1", or a file *.pth or *.pt; "" begins from scratch
    weights_sha256: str = ""  # of the file of weights, in hexadecimal

    def __post_init__(self) -> None:
        check_choice("architecture", self.architecture, architectures("convnext"))
        check_head(self.head, self.dropout)
        weight_files.check(self.architecture, self.weights, self.weights_sha256)


def build(hyperparameters: Hyperparameters, classes: int, image: ImageShape) -> nn.Module:
    """The network with random weights. Raises InvalidInput for images that it would halve to nothing."""
    smallest = _SMALLEST[hyperparameters.stem]
    if image.size < smallest:
        raise InvalidInput(
            f"the stem {hyperparameters.stem} needs images of {smallest} pixels at least, not {image.size}: resize them"
        )
    model = network(hyperparameters.architecture, classes)
    # The small stem's padding makes the image a pixel larger, which the first halving drops again.
    stride, padding = (1, 2) if hyperparameters.stem == "small" else (4, 0)
    fit_first_convolution(model, _FIRST, channels=image.channels, kernel=4, stride=stride, padding=padding)
    last = cast(nn.Linear, model.get_submodule(_CLASSES))
    model.set_submodule(_CLASSES, make_head(last, hyperparameters.head, hyperparameters.dropout))
    return model


pretrain = Pretrained(first=_FIRST, classes=_CLASSES)
trainer = SupervisedTrainer(build=build, hyperparameters=Hyperparameters, pretrain=pretrain, head="classifier")
