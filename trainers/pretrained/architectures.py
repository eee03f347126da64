"""Torchvision's networks by name, and the replacement of their first convolution for small or grey images."""

from typing import cast

import torchvision
from torch import nn

FAMILIES = ("convnext", "efficientnet", "resnet")  # modules of torchvision.models, each with a trainer of the same name


def architectures(family: str) -> tuple[str, ...]:
    """The names of a family's networks: resnet18, …, resnext50_32x4d, wide_resnet50_2 are of the family resnet."""
    home = f"torchvision.models.{family}"
    names = torchvision.models.list_models(module=torchvision.models)
    return tuple(name for name in names if torchvision.models.get_model_builder(name).__module__ == home)


def network(architecture: str, classes: int) -> nn.Module:
    """The network with random weights, as torchvision initialises it, for images of three channels."""
    return cast(nn.Module, torchvision.models.get_model(architecture, weights=None, num_classes=classes))


def fit_first_convolution(model: nn.Module, name: str, *, channels: int, kernel: int, stride: int, padding: int) -> None:
    """Replace the convolution called `name` by one of this kind with as many filters, unless it is of this kind.

    Lengths are in pixels.
    """
    stock = cast(nn.Conv2d, model.get_submodule(name))
    size = (kernel, kernel), (stride, stride), (padding, padding)
    if (stock.in_channels, stock.kernel_size, stock.stride, stock.padding) != (channels, *size):
        own = nn.Conv2d(channels, stock.out_channels, kernel, stride=stride, padding=padding, bias=stock.bias is not None)
        model.set_submodule(name, own)
