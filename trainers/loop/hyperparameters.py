"""How every model here is trained: the hyperparameters of the shared loop."""

from dataclasses import dataclass
from typing import final

from trainers.augmentation.mixing import Mix, check_mixing
from trainers.augmentation.transforms import Transform
from trainers.loop.averaging import Averaging
from trainers.loop.optimizers import AnyOptimizer, Sgd
from trainers.loop.phases import Phase
from trainers.loop.preprocessing import NORMALISATIONS
from trainers.loop.schedules.cosine import Cosine
from trainers.loop.schedules.learning_rate import AnySchedule
from trainers.support.ranges import check_choice, check_number, check_whole

_SGD, _COSINE = Sgd(), Cosine()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LoopHyperparameters:
    """The hyperparameters of the shared training loop.

    The defaults (Nesterov momentum, linear warm-up, then cosine to 0, stepped per step) train convolutional networks with
    BatchNorm from scratch; the warm-up is what keeps high rates from diverging in short trials.
    """

    batch_size: int = 128  # images in a step
    learning_rate: float = 0.05  # at its peak, per step
    weight_decay: float = 5e-4  # of all parameters; coupled or decoupled, as the optimiser has it
    label_smoothing: float = 0.0  # fraction of the target that is spread evenly over all classes
    optimizer: AnyOptimizer = _SGD
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
