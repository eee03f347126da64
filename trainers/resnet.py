"""ResNets (He et al. 2016), and the wider ones (Zagoruyko and Komodakis 2016; Xie et al. 2017), as torchvision builds them.

From scratch, or from pretrained weights.
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

_FIRST = "conv1"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """Which network, with which first and last layers, from which weights.

    The stem `stock` is torchvision's 7×7 convolution and max pooling, which shrink the image four times. `3x3` is one convolution
    that keeps the image's size, for small images; `3x3-maxpool` keeps the pooling, which halves it. Pretrained weights have the
    stock one: with another stem that layer begins at random.
    """

    architecture: str = "resnet18"
    stem: Literal["3x3", "3x3-maxpool", "stock"] = "3x3"
    head: tuple[HeadLayer, ...] = ()  # dense layers between the features and the last one
    dropout: float = 0.0  # fraction of the last layer's inputs that is dropped
    weights: str = ""  # a torchvision name, "IMAGENET1K_V1", or a file *.pth or *.pt; "" begins from scratch
    weights_sha256: str = ""  # of the file of weights, in hexadecimal

    def __post_init__(self) -> None:
        check_choice("architecture", self.architecture, architectures("resnet"))
        check_head(self.head, self.dropout)
        weight_files.check(self.architecture, self.weights, self.weights_sha256)


def build(hyperparameters: Hyperparameters, classes: int, image: ImageShape) -> nn.Module:
    """The network with random weights."""
    model = network(hyperparameters.architecture, classes)
    kernel, stride, padding = (7, 2, 3) if hyperparameters.stem == "stock" else (3, 1, 1)
    fit_first_convolution(model, _FIRST, channels=image.channels, kernel=kernel, stride=stride, padding=padding)
    if hyperparameters.stem == "3x3":
        model.maxpool = nn.Identity()
    model.fc = make_head(cast(nn.Linear, model.fc), hyperparameters.head, hyperparameters.dropout)
    return model


pretrain = Pretrained(first=_FIRST, classes="fc")
trainer = SupervisedTrainer(build=build, hyperparameters=Hyperparameters, pretrain=pretrain, head="fc")
