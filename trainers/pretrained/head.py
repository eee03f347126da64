"""The dense layers between a network's features and the classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import nn

from trainers.support.ranges import check_number, check_whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLayer:
    """A dense layer before the last one, with ReLU. With BatchNorm, which has a bias, it has none of its own."""

    units: int
    batch_norm: bool = False  # between the layer and its ReLU
    dropout: float = 0.0  # fraction of the layer's inputs that is dropped

    def __post_init__(self) -> None:
        check_whole("units", self.units, 1, 65_536)
        check_number("dropout", self.dropout, 0, 1, below=True)


def check_head(layers: Sequence[HeadLayer], dropout: float) -> None:
    """Raise ValueError unless a head can be made of these hyperparameters."""
    if len(layers) > 8:
        raise ValueError(f"head has at most 8 layers before the last one, not {len(layers)}")
    check_number("dropout", dropout, 0, 1, below=True)


def make_head(last: nn.Linear, layers: Sequence[HeadLayer], dropout: float) -> nn.Sequential:
    """The layers, then the last one with `dropout`, the fraction of its inputs dropped: features N×F to logits N×classes.

    `last` is a network's own layer from its features to the classes. Where no layer comes before it, it is kept as it was
    initialised.
    """
    modules: list[nn.Module] = []
    width = last.in_features
    for layer in layers:
        modules += [nn.Dropout(layer.dropout), nn.Linear(width, layer.units, bias=not layer.batch_norm)]
        if layer.batch_norm:
            modules.append(nn.BatchNorm1d(layer.units))
        modules.append(nn.ReLU(inplace=True))
        width = layer.units
    if layers:
        last = nn.Linear(width, last.out_features)
    return nn.Sequential(*modules, nn.Dropout(dropout), last)
