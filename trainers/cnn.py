"""A simple convolutional network, described by its blocks: convolutions, pooling, BatchNorm and ReLU, then dense layers."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import final

from torch import nn

from orchestrator.errors import InvalidInput
from trainers.loop.trainer import ImageShape, SupervisedTrainer
from trainers.support.ranges import check_number, check_whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Convolutions of one width, each followed by BatchNorm and ReLU; pooling comes right after the last of them."""

    channels: int
    convolutions: int = 1
    kernel: int = 3  # pixels; odd, and padded so that the image keeps its size
    batch_norm: bool = True
    bias: bool | None = None  # of the convolutions; null: where no BatchNorm follows, which has one
    pool: bool = True  # by the maximum of 2×2 pixels: halves the image
    dropout: float = 0.0  # fraction of the block's values that is dropped

    def __post_init__(self) -> None:
        check_whole("channels", self.channels, 1, 4096)
        check_whole("convolutions", self.convolutions, 1, 16)
        check_whole("kernel", self.kernel, 1, 15)
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, not {self.kernel}")
        check_number("dropout", self.dropout, 0, 1, below=True)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """The network from the image on, and its dropout."""

    blocks: tuple[Block, ...] = (Block(channels=32), Block(channels=64), Block(channels=128))
    average: bool = False  # each channel over all pixels that are left (global average pooling), instead of every pixel's value
    hidden: tuple[int, ...] = (256,)  # units of the dense layers between the blocks and the last layer
    dropout: float = 0.0  # fraction of the inputs of each dense layer, the last one among them, that is dropped

    def __post_init__(self) -> None:
        if not 1 <= len(self.blocks) <= 16:
            raise ValueError(f"blocks must be 1 to 16, not {len(self.blocks)}")
        if len(self.hidden) > 8:
            raise ValueError(f"hidden must be at most 8 numbers of units, not {len(self.hidden)}")
        for units in self.hidden:
            check_whole("each of hidden", units, 1, 65_536)
        check_number("dropout", self.dropout, 0, 1, below=True)


def build(hyperparameters: Hyperparameters, classes: int, image: ImageShape) -> nn.Module:
    """The network for square images. Raises InvalidInput where a single pixel is left, and nothing to pool or to average."""
    features: list[nn.Module] = []
    channels, size = image.channels, image.size
    for number, block in enumerate(hyperparameters.blocks, start=1):
        if block.pool and size == 1:
            raise _single_pixel(image, f'block {number} has nothing to pool: leave it out, or give it "pool": false')
        for layer in range(block.convolutions):
            features += _convolution(block, channels, pooled=block.pool and layer == block.convolutions - 1)
            channels = block.channels
        if block.pool:
            size //= 2
        if block.dropout:
            features.append(nn.Dropout(block.dropout))
    if hyperparameters.average:
        if size == 1:
            raise _single_pixel(image, 'there is nothing to average: give the last block "pool": false, or leave "average" out')
        features.append(nn.AdaptiveAvgPool2d(1))
        size = 1
    return nn.Sequential(
        OrderedDict(features=nn.Sequential(*features), classifier=_classifier(hyperparameters, channels * size * size, classes))
    )


def _single_pixel(image: ImageShape, consequence: str) -> InvalidInput:
    return InvalidInput(f"the blocks leave a single pixel of an image of {image.size}×{image.size}, and {consequence}")


def _convolution(block: Block, inputs: int, *, pooled: bool) -> list[nn.Module]:
    bias = not block.batch_norm if block.bias is None else block.bias
    layers: list[nn.Module] = [nn.Conv2d(inputs, block.channels, block.kernel, padding=block.kernel // 2, bias=bias)]
    if pooled:
        # Before BatchNorm and ReLU, which then have a quarter of the values to work on: 13 % faster on a 2-core CPU.
        layers.append(nn.MaxPool2d(2))
    if block.batch_norm:
        layers.append(nn.BatchNorm2d(block.channels))
    return [*layers, nn.ReLU(inplace=True)]


def _classifier(hyperparameters: Hyperparameters, inputs: int, classes: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for units in hyperparameters.hidden:
        layers += [nn.Dropout(hyperparameters.dropout), nn.Linear(inputs, units), nn.ReLU(inplace=True)]
        inputs = units
    return nn.Sequential(*layers, nn.Dropout(hyperparameters.dropout), nn.Linear(inputs, classes))


trainer = SupervisedTrainer(build=build, hyperparameters=Hyperparameters, head="classifier")
