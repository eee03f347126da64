"""ResNets (He et al. 2016) as torchvision builds them, from scratch or from pretrained weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torchvision
from torch import nn

from trainers import _weights
from trainers._ranges import check_choice, check_number
from trainers._supervised import ImageShape, Supervised

_FILE_ENDINGS = (".pth", ".pt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """Which network, with which first layers, from which weights.

    The stem `3x3` is one convolution that keeps the image's size, for small images; `stock` is torchvision's 7×7 convolution and
    pooling, which shrink it four times. Pretrained weights have the stock one: with `3x3` that layer begins at random.
    """

    architecture: str = "resnet18"
    stem: str = "3x3"
    dropout: float = 0.0  # fraction of the features dropped before the last layer
    weights: str = ""  # a torchvision name, "IMAGENET1K_V1", or a file *.pth or *.pt; "" begins from scratch

    def __post_init__(self) -> None:
        check_choice("architecture", self.architecture, _weights.ARCHITECTURES)
        check_choice("stem", self.stem, ("3x3", "stock"))
        check_number("dropout", self.dropout, 0, 1, below=True)
        if self.weights and not str(self.weights).endswith(_FILE_ENDINGS):
            check_choice("weights (unless a file *.pth or *.pt)", self.weights, _weights.known(self.architecture))


def build(hyperparameters: Hyperparameters, classes: int, image: ImageShape) -> nn.Module:
    """The network with random weights."""
    model = cast(nn.Module, torchvision.models.get_model(hyperparameters.architecture, weights=None, num_classes=classes))
    if hyperparameters.stem == "3x3":
        model.conv1 = nn.Conv2d(image.channels, 64, 3, padding=1, bias=False)
        model.maxpool = nn.Identity()
    elif image.channels != 3:
        model.conv1 = nn.Conv2d(image.channels, 64, 7, stride=2, padding=3, bias=False)
    model.fc = nn.Sequential(nn.Dropout(hyperparameters.dropout), cast(nn.Linear, model.fc))
    return model


def pretrain(model: nn.Module, hyperparameters: Hyperparameters, data_folder: Path) -> None:
    """Load the weights that the hyperparameters name, all but the last layer's. Raises MissingInput or BadData."""
    if hyperparameters.weights:
        file = _weights.find(hyperparameters.architecture, hyperparameters.weights, data_folder)
        _weights.load_body(model, _weights.read(file), file)


trainer = Supervised(build=build, hyperparameters=Hyperparameters, pretrain=pretrain, head="fc")
