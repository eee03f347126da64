"""The optimisers that a recipe can name, with their settings.

A new one is a dataclass here and a name in `AnyOptimizer`. Each is given the recipe's learning rate, momentum (beta1 of the Adam
family) and weight decay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch

from trainers.support.ranges import check_number

Parameters = Sequence[torch.nn.Parameter]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sgd:
    """Stochastic gradient descent with momentum. Weight decay is coupled: an L2 gradient."""

    name: Literal["sgd"] = "sgd"
    nesterov: bool = True  # whether the gradient is taken where the momentum leads

    def make(self, parameters: Parameters, *, rate: float, momentum: float, decay: float) -> torch.optim.Optimizer:
        """Torch's optimiser over these parameters."""
        return torch.optim.SGD(
            parameters,
            lr=rate,
            momentum=momentum,
            nesterov=self.nesterov,
            weight_decay=decay,
            fused=_can_be_fused(parameters),
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Adam:
    """Kingma and Ba 2015. Weight decay is coupled: an L2 gradient, which the step's scaling then distorts."""

    name: Literal["adam"] = "adam"
    beta2: float = 0.999  # fraction of the running mean of squared gradients that a step keeps

    def __post_init__(self) -> None:
        check_number("beta2", self.beta2, 0, 1, below=True)

    def make(self, parameters: Parameters, *, rate: float, momentum: float, decay: float) -> torch.optim.Optimizer:
        """Torch's optimiser over these parameters."""
        betas = (momentum, self.beta2)
        return torch.optim.Adam(parameters, lr=rate, betas=betas, weight_decay=decay, fused=_can_be_fused(parameters))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """Loshchilov and Hutter 2019. Weight decay is decoupled: times the learning rate."""

    name: Literal["adamw"] = "adamw"
    beta2: float = 0.999

    def __post_init__(self) -> None:
        check_number("beta2", self.beta2, 0, 1, below=True)

    def make(self, parameters: Parameters, *, rate: float, momentum: float, decay: float) -> torch.optim.Optimizer:
        """Torch's optimiser over these parameters."""
        betas = (momentum, self.beta2)
        return torch.optim.AdamW(parameters, lr=rate, betas=betas, weight_decay=decay, fused=_can_be_fused(parameters))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NAdam:
    """Adam with Nesterov's momentum (Dozat 2016). Weight decay is decoupled."""

    name: Literal["nadam"] = "nadam"
    beta2: float = 0.999

    def __post_init__(self) -> None:
        check_number("beta2", self.beta2, 0, 1, below=True)

    def make(self, parameters: Parameters, *, rate: float, momentum: float, decay: float) -> torch.optim.Optimizer:
        """Torch's optimiser over these parameters."""
        betas = (momentum, self.beta2)
        return torch.optim.NAdam(parameters, lr=rate, betas=betas, weight_decay=decay, decoupled_weight_decay=True)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RAdam:
    """Adam that rectifies the variance of its first steps, a warm-up of its own (Liu et al. 2020). Weight decay is decoupled."""

    name: Literal["radam"] = "radam"
    beta2: float = 0.999

    def __post_init__(self) -> None:
        check_number("beta2", self.beta2, 0, 1, below=True)

    def make(self, parameters: Parameters, *, rate: float, momentum: float, decay: float) -> torch.optim.Optimizer:
        """Torch's optimiser over these parameters."""
        betas = (momentum, self.beta2)
        return torch.optim.RAdam(parameters, lr=rate, betas=betas, weight_decay=decay, decoupled_weight_decay=True)


AnyOptimizer = Sgd | Adam | AdamW | NAdam | RAdam


def _can_be_fused(parameters: Parameters) -> bool:
    """Whether torch has one kernel for a step of all these parameters."""
    return all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in parameters)
