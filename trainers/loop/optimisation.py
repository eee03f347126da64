"""How every model here is trained: the hyperparameters of the shared loop, and the optimisers that they name."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, final

import torch

from trainers.augmentation.mixing import Mix, check_mixing
from trainers.augmentation.transforms import Transform
from trainers.loop.averaging import Averaging
from trainers.loop.phases import Phase
from trainers.loop.preprocessing import NORMALISATIONS
from trainers.loop.schedules.cosine import Cosine
from trainers.loop.schedules.learning_rate import AnySchedule
from trainers.support.ranges import check_choice, check_number, check_whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sgd:
    """Stochastic gradient descent with momentum. Weight decay is coupled: an L2 gradient."""

    name: Literal["sgd"] = "sgd"
    nesterov: bool = True  # whether the gradient is taken where the momentum leads


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Adam:
    """Kingma and Ba 2015. Weight decay is coupled: an L2 gradient, which the step's scaling then distorts."""

    name: Literal["adam"] = "adam"
    beta2: float = 0.999  # fraction of the running mean of squared gradients that a step keeps

    def __post_init__(self) -> None:
        check_number("beta2", self.beta2, 0, 1, below=True)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """Loshchilov and Hutter 2019. Weight decay is decoupled: times the learning rate."""

    name: Literal["adamw"] = "adamw"
    beta2: float = 0.999

    def __post_init__(self) -> None:
        check_number("beta2", self.beta2, 0, 1, below=True)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NAdam:
    """Adam with Nesterov's momentum (Dozat 2016). Weight decay is decoupled."""

    name: Literal["nadam"] = "nadam"
    beta2: float = 0.999

    def __post_init__(self) -> None:
        check_number("beta2", self.beta2, 0, 1, below=True)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RAdam:
    """Adam that rectifies the variance of its first steps, a warm-up of its own (Liu et al. 2020). Weight decay is decoupled."""

    name: Literal["radam"] = "radam"
    beta2: float = 0.999

    def __post_init__(self) -> None:
        check_number("beta2", self.beta2, 0, 1, below=True)


Optimizer = Sgd | Adam | AdamW | NAdam | RAdam

_SGD, _COSINE = Sgd(), Cosine()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Optimisation:
    """The hyperparameters of the shared training loop.

    The defaults (Nesterov momentum, linear warm-up, then cosine to 0, stepped per step) train convolutional networks with
    BatchNorm from scratch; the warm-up is what keeps high rates from diverging in short trials.
    """

    batch_size: int = 128  # images in a step
    learning_rate: float = 0.05  # at its peak, per step
    weight_decay: float = 5e-4  # of all parameters; coupled or decoupled, as the optimiser has it
    label_smoothing: float = 0.0  # fraction of the target that is spread evenly over all classes
    optimizer: Optimizer = _SGD
    momentum: float = 0.9  # fraction of the running mean of gradients that a step keeps; beta1 of the Adam family
    schedule: AnySchedule = _COSINE
    warmup: float = 0.2  # fraction of all steps in which the rate rises to its peak
    phases: tuple[Phase, ...] = ()  # none: all layers, all epochs
    clip: float = 0.0  # largest norm of the gradient of a step, over all parameters; 0 does not clip
    averaging: Averaging | None = None  # of the weights
    patience: int = 0  # epochs without a higher validation accuracy after which the run ends; 0 trains all epochs
    augmentation: tuple[Transform, ...] | None = None  # null: the crop and the mirror image of the data set
    mixing: tuple[Mix, ...] = ()  # of the images in a batch
    normalisation: str = "data-set"  # a name in NORMALISATIONS
    resize: int = 0  # pixels that images are resized to before the model, in training and prediction; 0 leaves their size
    center_crop: int = 0  # pixels of the middle that the model gets of an evaluated image; 0: all of it
    precision: str = "auto"  # of products: float32, bfloat16, or auto, what the device is faster with

    def __post_init__(self) -> None:
        check_whole("batch_size", self.batch_size, 1, 65_536)
        check_number("learning_rate", self.learning_rate, 0, 100)
        if self.learning_rate == 0:
            raise ValueError("learning_rate 0 would train nothing")
        check_number("weight_decay", self.weight_decay, 0, 10)
        check_number("label_smoothing", self.label_smoothing, 0, 1, below=True)
        check_number("momentum", self.momentum, 0, 1, below=True)
        if self.momentum == 0 and isinstance(self.optimizer, Sgd) and self.optimizer.nesterov:
            raise ValueError("nesterov needs a momentum above 0: set it to false")
        check_number("warmup", self.warmup, 0, 1, below=True)
        check_number("clip", self.clip, 0, 1e6)
        check_whole("patience", self.patience, 0, 100_000)
        check_mixing(self.mixing)
        if self.mixing and self.batch_size == 1:
            raise ValueError("mixing in batches of one image would mix it with itself")
        check_choice("normalisation", self.normalisation, NORMALISATIONS)
        check_whole("resize", self.resize, 0, 1024)
        check_whole("center_crop", self.center_crop, 0, 1024)
        check_choice("precision", self.precision, ("auto", "float32", "bfloat16"))


def make_optimizer(parameters: Iterable[torch.nn.Parameter], settings: Optimisation) -> torch.optim.Optimizer:
    """The optimiser that `settings` name, over these parameters: one kernel per step where torch has it."""
    given = list(parameters)
    rate, decay, momentum = settings.learning_rate, settings.weight_decay, settings.momentum
    fused = all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in given)
    match settings.optimizer:
        case Sgd(nesterov=nesterov):
            return torch.optim.SGD(given, lr=rate, momentum=momentum, nesterov=nesterov, weight_decay=decay, fused=fused)
        case Adam(beta2=beta2):
            return torch.optim.Adam(given, lr=rate, betas=(momentum, beta2), weight_decay=decay, fused=fused)
        case AdamW(beta2=beta2):
            return torch.optim.AdamW(given, lr=rate, betas=(momentum, beta2), weight_decay=decay, fused=fused)
        case NAdam(beta2=beta2):
            return torch.optim.NAdam(given, lr=rate, betas=(momentum, beta2), weight_decay=decay, decoupled_weight_decay=True)
        case RAdam(beta2=beta2):
            return torch.optim.RAdam(given, lr=rate, betas=(momentum, beta2), weight_decay=decay, decoupled_weight_decay=True)
