"""How every model here is trained: the hyperparameters of the shared loop, and the optimisers that they name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from trainers._ranges import check_choice, check_number, check_whole
from trainers._schedules import SHAPES


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimisation:
    """The hyperparameters of the shared training loop.

    The defaults (Nesterov momentum, linear warm-up, then cosine to 0, stepped per step) train convolutional networks with
    BatchNorm from scratch; the warm-up is what keeps high rates from diverging in short trials.
    """

    batch_size: int = 128  # images in a step
    learning_rate: float = 0.05  # at its peak, per step
    weight_decay: float = 5e-4  # of all parameters. sgd: coupled, an L2 gradient; adamw: decoupled, times the learning rate
    label_smoothing: float = 0.0  # fraction of the target that is spread evenly over all classes
    optimizer: str = "sgd"  # a name in OPTIMIZERS
    momentum: float = 0.9  # fraction of the running mean of gradients that a step keeps; the first beta of adamw
    schedule: str = "cosine"  # a name in SHAPES
    warmup: float = 0.2  # fraction of all steps in which the rate rises to its peak
    resize: int = 0  # pixels that images are resized to before the model, in training and prediction; 0 leaves their size

    def __post_init__(self) -> None:
        check_whole("batch_size", self.batch_size, 1, 65_536)
        check_number("learning_rate", self.learning_rate, 0, 100)
        check_number("weight_decay", self.weight_decay, 0, 10)
        check_number("label_smoothing", self.label_smoothing, 0, 1, below=True)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_number("momentum", self.momentum, 0, 1, below=True)
        check_choice("schedule", self.schedule, SHAPES)
        check_number("warmup", self.warmup, 0, 1, below=True)
        check_whole("resize", self.resize, 0, 1024)


def _sgd(parameters: Iterable[torch.nn.Parameter], settings: Optimisation, fused: bool) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.momentum > 0,
        weight_decay=settings.weight_decay,
        fused=fused,
    )


def _adamw(parameters: Iterable[torch.nn.Parameter], settings: Optimisation, fused: bool) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        parameters,
        lr=settings.learning_rate,
        betas=(settings.momentum, 0.999),
        weight_decay=settings.weight_decay,
        fused=fused,
    )


OPTIMIZERS: dict[str, Callable[[Iterable[torch.nn.Parameter], Optimisation, bool], torch.optim.Optimizer]] = {
    "sgd": _sgd,
    "adamw": _adamw,
}


def make_optimizer(model: torch.nn.Module, settings: Optimisation) -> torch.optim.Optimizer:
    """The optimiser that `settings` name, over all parameters of `model`: one kernel per step where torch has it."""
    parameters = list(model.parameters())
    fused = all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in parameters)
    return OPTIMIZERS[settings.optimizer](parameters, settings, fused)
