"""EfficientNets (Tan and Le 2019 and 2021) as torchvision builds them, from scratch or from pretrained weights.

Torchvision's stochastic depth is kept: in training a block is skipped for an image with a probability that grows with
its depth to .2.
"""

from dataclasses import dataclass
from typing import Literal, cast, final

from torch import nn

from trainers.loop.trainer import ImageShape, SupervisedTrainer
from trainers.pretrained import weight_files
from trainers.pretrained.architectures import architectures, fit_first_convolution, network
from trainers.pretrained.head import HeadLayer, check_head, make_head
from trainers.pretrained.loading import Pretrained
from trainers.support.ranges import check_choice

_FIRST = "features.0.0"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """Which network, with which first and last layers, from which weights.

    The stem `stock` is a 3×3 convolution that halves the image; `small` is the same one moved by single pixels, which keeps the
    size of small images. Pretrained weights fit both.
    """

    architecture: str = "efficientnet_b0"
    stem: Literal["small", "stock"] = "small"
    head: tuple[HeadLayer, ...] = ()  # dense layers between the features and the last one
    dropout: float = 0.2  # fraction of the last layer's inputs that is dropped; .2 is that of the smallest network's authors
    weights: str = ""  # a torchvision name, "IMAGENET1K_V1", or a file *.pth or *.pt; "" begins from scratch
    weights_sha256: str = ""  # of the file of weights, in hexadecimal

    def __post_init__(self) -> None:
        check_choice("architecture", self.architecture, architectures("efficientnet"))
        check_head(self.head, self.dropout)
        weight_files.check(self.architecture, self.weights, self.weights_sha256)


def build(hyperparameters: Hyperparameters, classes: int, image: ImageShape) -> nn.Module:
    """The network with random weights."""
    model = network(hyperparameters.architecture, classes)
    stride = 1 if hyperparameters.stem == "small" else 2
    fit_first_convolution(model, _FIRST, channels=image.channels, kernel=3, stride=stride, padding=1)
    last = cast(nn.Linear, model.get_submodule("classifier.1"))
    model.classifier = make_head(last, hyperparameters.head, hyperparameters.dropout)
    return model


pretrain = Pretrained(first=_FIRST, classes="classifier")
trainer = SupervisedTrainer(build=build, hyperparameters=Hyperparameters, pretrain=pretrain, head="classifier")
