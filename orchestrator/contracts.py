"""The borders: what a plan, a reference system, a data set, a trainer and a report promise.

Protocols stand at the borders, final classes inside. Nothing here imports torch, optuna or pandas at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, final, runtime_checkable

from orchestrator.recipe import Recipe
from orchestrator.record import Epoch, Metric

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch


# ---------------------------------------------------------------------------------------------------------- data


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetInfo:
    """Facts about a data set's images, and the settings recommended for them."""

    classes: int
    channels: int
    size: int  # pixels; images are square
    mean: tuple[float, ...]  # per channel, of the training images, on the scale 0..1
    std: tuple[float, ...]
    padding: int  # pixels; training images are padded with zeros and cropped at a random position
    flip: bool  # whether a mirrored image is still an image of its class
    train_images: int  # before the split
    validation_images: int  # split off the training images
    confirmation_images: int  # split off the training images
    batch_sizes: tuple[int, ...]  # images; each leaves enough steps in an epoch to learn
    trial_epochs: int  # after which a good setting can be told from a bad one
    retrain_epochs: int  # after which more epochs gain too little
    skipped_images: int = 0  # damaged files that were left out, because the user asked for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Images and their classes, as a data set reads them: uint8 N×C×H×W and int64 N."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Files that lie among a data set's images and are none of them, by name."""

    damaged: Mapping[str, str] = field(default_factory=dict)  # name -> why: a sentence without its subject
    others: tuple[str, ...] = ()  # hidden files, and files that are no images


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadImages:
    """Some image files, as a data set reads them."""

    names: Sequence[str]  # of the N files that are sound
    images: np.ndarray  # in the order of their names, uint8 N×C×H×W
    damaged: Mapping[str, str] = field(default_factory=dict)  # name of another file -> why: a sentence without its subject


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFiles:
    """The image files in one folder, without classes. `read` takes names of them, and gives all, in parts that fit in memory."""

    folder: Path
    names: tuple[str, ...]  # in one order on every system
    read: Callable[[Sequence[str]], Iterable[ReadImages]]  # raises DiskError; a damaged file is no error
    others: tuple[str, ...] = ()  # hidden files, and files that are no images
    sample: Path | None = None  # a sample submission, which came with them
    skip_damaged: bool = False  # whether the user asked to leave damaged files out


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetNames:
    """What a data set says beside its images and labels, read from the data folder, raising as `check` does. None: nothing."""

    classes: Callable[[Path], Sequence[str]] | None = None  # in the order of the labels
    images: Callable[[Path, Literal["train", "test"]], Sequence[str]] | None = None  # that a user knows, in the order of `load`
    left_out: Callable[[Path], LeftOut] | None = None
    image_files: Callable[[Path], ImageFiles] | None = None  # in any folder, to be read exactly as its own images are
    unlabelled: Callable[[Path], ImageFiles | None] | None = None  # its own images without classes, for submissions


class DataSet(Protocol):
    """`trainers/datasets/NAME.py` holds one as `dataset`. `folder` is the data folder, which many data sets share."""

    @property
    def names(self) -> DataSetNames:
        """How classes and images are called, and how files are read; `DataSetNames()` where there is nothing to say."""

    def info(self, folder: Path) -> DataSetInfo:
        """Facts about the images. A published set reads nothing; other images are measured, raising as `check` does."""

    def check(self, folder: Path) -> None:
        """Check that the files are complete and unaltered. Raises MissingInput (both ways to get them) or BadData."""

    def fetch(self, folder: Path) -> None:
        """Download what is missing, with progress, checked by checksum. Raises MissingInput when that cannot be done."""

    def load(self, folder: Path, part: Literal["train", "test"]) -> Labelled:
        """The images of one part, always in the same order. Raises as `check` does."""


class DataSetFamily(Protocol):
    """`trainers/datasets/NAME.py` holds one as `family`, instead of a `dataset`, where data sets are named NAME:ARGUMENT."""

    @property
    def argument(self) -> str:
        """What follows the colon, in a word for messages: PATH."""

    def settled(self, argument: str) -> str:
        """The argument as recipes keep it: the same data set from every working directory. Raises InvalidInput."""

    def label(self, argument: str) -> str:
        """A short name, in the characters that a study's name may have."""

    def member(self, argument: str) -> DataSet:
        """The data set. Raises InvalidInput."""

    def skipping_damaged(self, argument: str) -> str:
        """The argument of the same data set without its damaged files. Raises InvalidInput where it cannot do without them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """All that a Training is given, resident on its device.

    `train` and `validation` images are uint8 N×C×H×W, their labels int64 N. Shared by all jobs of a worker: read only.
    """

    train_images: torch.Tensor
    train_labels: torch.Tensor
    validation_images: torch.Tensor
    validation_labels: torch.Tensor
    info: DataSetInfo
    folder: Path  # where data sets and weights lie


# ------------------------------------------------------------------------------------------------------- trainers


class Diverged(Exception):
    """Raised by `Training.epoch` when the training or validation loss is NaN or infinite: more epochs cannot help."""


SMALLEST_MICRO_BATCH = 2  # images: BatchNorm cannot normalise one image whose features are single pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatch:
    """How a training passes its batches through the model in parts, to need less memory.

    The gradients of a batch's parts are accumulated to the mean over the batch, so that the sampled batch size keeps its
    meaning. The `state_dict` of such a Training is independent of further training.
    """

    images: int  # that pass through the model at a time: at first the whole batch
    limit: Callable[[int], None]  # from the next epoch on let at most so many pass at a time, SMALLEST_MICRO_BATCH at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a training offers beyond the required, as it is now. The defaults describe a training that offers nothing more."""

    precision: str = ""  # type of matrix products and convolutions, where the device decides it: "float32" or "bfloat16"
    label_smoothing: float = 0.0  # fraction of each target that is spread evenly over all classes
    ended: bool = False  # by the recipe's own patience, before its last epoch; may be True after that epoch as well
    steps_at_full_rate: int | None = None  # done since this phase's warm-up: only they tell what was learned; None: no warm-up
    micro_batch: MicroBatch | None = None  # None: the training cannot do with less memory


class Training(Protocol):
    """One training run in progress. It knows nothing of Optuna, W&B or pruning: a pruned run is not asked for another epoch."""

    @property
    def capabilities(self) -> Capabilities:
        """What it offers beyond the methods below; `Capabilities()` where that is nothing."""

    def epoch(self) -> Epoch:
        """Train on every training image once, then validate. Numbers its epochs from 1.

        Raises Diverged, and ValueError after the recipe's last epoch: its schedule has no rate for more.
        """

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on, random streams included: tensors and plain values only."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue exactly where `state` was taken. Raises BadData; the training is then to be begun anew."""

    def snapshot(self) -> dict[str, Any]:
        """What `Trainer.restore` needs to predict, preprocessing included; independent of further training."""


class Predictor(Protocol):
    """A trained model with the preprocessing it was trained for."""

    def __call__(self, images: Any) -> torch.Tensor:
        """Probabilities N×classes (float32, on the CPU) of uint8 images N×C×H×W (tensor or array), in their order."""


class Trainer(Protocol):
    """`trainers/NAME.py` holds one as `trainer`."""

    @property
    def hyperparameters(self) -> Sequence[type]:
        """Frozen dataclasses whose fields together are the names a recipe's params may use: defaults, units, checks."""

    def check(self, recipe: Recipe, info: DataSetInfo, data_folder: Path) -> None:
        """Check that a run of this recipe can begin: weights are complete, sizes fit, all settings act in its epochs.

        Raises InvalidInput, MissingInput or BadData.
        """

    def begin(self, recipe: Recipe, data: Data, device: str) -> Training:
        """A new run; depends on nothing that ran before in this process."""

    def restore(self, snapshot: Mapping[str, Any], device: str) -> Predictor:
        """The predictor that `Training.snapshot` described. Raises BadData for any other content."""


# ---------------------------------------------------------------------------------------------- reference systems


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """Results that a report states of its system: accuracies as fractions, None where it states none."""

    val_acc: float | None = None
    test_acc: float | None = None
    train_acc: float | None = None
    kaggle: float | None = None  # on the challenge's out-of-distribution images
    remark: str = ""  # whatever is not one of these figures

    def figures(self) -> dict[str, float]:
        """The stated accuracies by name."""
        named = {"val_acc": self.val_acc, "test_acc": self.test_acc, "train_acc": self.train_acc, "kaggle": self.kaggle}
        return {name: value for name, value in named.items() if value is not None}

    def text(self) -> str:
        """All of it in one line."""
        figures = ", ".join(f"{name} {value:.5g}" for name, value in self.figures().items())
        return "; ".join(filter(None, [figures, self.remark])) or "no accuracy stated"


@runtime_checkable
class ReferenceSystem(Protocol):
    """A published system as a recipe. `search_spaces/reference_systems/NAME.py` holds a sequence of them as `SYSTEMS`.

    `orchestrate train`, `recipe` and `baselines` find it by `system` or `name`, which no other system may have.
    """

    @property
    def system(self) -> str:
        """A short name: report and part of the challenge, "004-P1"."""

    @property
    def name(self) -> str:
        """A descriptive name, also the plan's name in its recipe: 1 to 64 letters, digits, ".", "_" or "-"."""

    @property
    def part(self) -> int | None:
        """The part of the challenge, None where it belongs to none."""

    @property
    def trainer(self) -> str:
        """The name of its trainer."""

    @property
    def parameters(self) -> int:
        """Of the model."""

    @property
    def weights(self) -> str:
        """The pretrained weights; "" for training from scratch."""

    @property
    def epochs(self) -> int:
        """Of the report's training."""

    @property
    def reported(self) -> Reported:
        """The results that the report states."""

    @property
    def choices(self) -> Sequence[str]:
        """One sentence for each setting that the report leaves open."""

    def recipe(self, epochs: int | None = None) -> Recipe:
        """The recipe, scaled to `epochs` where they differ from its own."""

    def scaling(self, epochs: int) -> Sequence[str]:
        """One sentence for each setting that the recipe of so many epochs scales or leaves out."""


# ---------------------------------------------------------------------------------------------------------- plans


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A reference system's setting of the sampled hyperparameters. `misfit` says why it cannot be a first trial."""

    system: str  # "004-P1"
    params: Mapping[str, Any]
    misfit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """A recipe with holes, and what may fill them."""

    recipe: Recipe
    space: Mapping[str, Any]  # hyperparameter -> optuna distribution
    metric: Metric = field(default_factory=Metric)
    epochs: int  # of a trial
    confirm_epochs: int  # of a confirmation
    retrain_epochs: int  # of a full retrain
    baselines: tuple[Baseline, ...] = ()  # run first, in this order, where they fit
    pruner: str = "promote"


class Plan(Protocol):
    """`search_spaces/NAME.py` holds `DATASET`, the name of the data set it is made for, and this function as `plan`."""

    def __call__(self, dataset: str, info: DataSetInfo) -> StudyPlan:
        """The plan for a data set, from its info."""


Report = Callable[["Frames"], "pd.DataFrame"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """The input of a report: one row per run, and one row per epoch (`reports/tables/frames.py` lists the columns)."""

    runs: pd.DataFrame
    epochs: pd.DataFrame
    searched: tuple[str, ...] = ()  # the hyperparameters that the studies search, in the order of their plans
