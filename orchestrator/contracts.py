"""The borders: what a plan, a data set, a trainer, a scheduler, an executor, an observer and a report promise.

Protocols stand at the borders, final classes inside. Nothing here imports torch, optuna or pandas at run time.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from orchestrator.jobs import Event, Job
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch, Kind, Metric, RunRecord, Status

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch

# ---------------------------------------------------------------------------------------------------------- data


@dataclass(frozen=True, slots=True, kw_only=True)
class Suits:
    """What a data set brings: facts about its images, and what suits them."""

    classes: int
    channels: int
    size: int  # pixels; images are square
    mean: tuple[float, ...]  # per channel, of the training images, on the scale 0..1
    std: tuple[float, ...]
    padding: int  # pixels; training images are padded with zeros and cropped at a random place
    flip: bool  # whether a mirrored image is still an image of its class
    train_images: int  # before the split
    validation_images: int  # split off the training images
    confirmation_images: int  # split off the training images
    batch_sizes: tuple[int, ...]  # images; each leaves enough steps in an epoch to learn
    trial_epochs: int  # after which a good setting can be told from a bad one
    retrain_epochs: int  # after which more epochs gain nothing worth their time


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Images and their classes, as a data set reads them: uint8 N×C×H×W and int64 N."""

    images: np.ndarray
    labels: np.ndarray


class DataSet(Protocol):
    """`trainers/datasets/NAME.py` holds one as `dataset`. `folder` is the data folder, which many data sets share."""

    def suits(self, folder: Path) -> Suits:
        """Facts and what suits them. A published set reads nothing; other images are measured, raising as `check` does."""

    def check(self, folder: Path) -> None:
        """Prove that the files are there and right. Raises MissingInput (both ways to get them) or BadData."""

    def fetch(self, folder: Path) -> None:
        """Download what is missing, with progress, checked by checksum. Raises MissingInput when that cannot be done."""

    def load(self, folder: Path, part: Literal["train", "test"]) -> Labelled:
        """The images of one part, always in the same order. Raises as `check` does."""


@runtime_checkable
class NamedClasses(Protocol):
    """What a DataSet offers besides where its classes have names."""

    def class_names(self, folder: Path) -> Sequence[str]:
        """The names, in the order of the labels. Raises as `check` does."""


@runtime_checkable
class NamedImages(Protocol):
    """What a DataSet offers besides where its images have names that a user knows."""

    def image_names(self, folder: Path, part: Literal["train", "test"]) -> Sequence[str]:
        """The names, in the order of `load`. Raises as `check` does."""


class DataSetFamily(Protocol):
    """`trainers/datasets/NAME.py` holds one as `family`, instead of a `dataset`, where data sets are named NAME:ARGUMENT."""

    @property
    def argument(self) -> str:
        """What stands behind the colon, in a word for messages: PATH."""

    def settled(self, argument: str) -> str:
        """The argument as recipes keep it: the same data set from every working directory. Raises InvalidInput."""

    def label(self, argument: str) -> str:
        """A short name, of what a study's name may be made of."""

    def member(self, argument: str) -> DataSet:
        """The data set. Raises InvalidInput."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """All that a Training is given, resident on its device.

    `train` and `validation` images are uint8 N×C×H×W, their labels int64 N. Shared by all jobs of a worker: read only.
    """

    train_images: torch.Tensor
    train_labels: torch.Tensor
    validation_images: torch.Tensor
    validation_labels: torch.Tensor
    suits: Suits
    folder: Path  # where data sets and weights lie


# ------------------------------------------------------------------------------------------------------- trainers


class Diverged(Exception):
    """Raised by `Training.epoch` when the training or validation loss is NaN or infinite: more epochs cannot help."""


class Training(Protocol):
    """One training run in progress. It never hears of Optuna, W&B or pruning: not asking for more is pruning."""

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


@runtime_checkable
class MicroBatched(Protocol):
    """What a Training offers besides where it can do with less memory: passing its batches through the model in parts.

    The gradients of a batch's parts are accumulated to the mean over the batch, so that the sampled batch size keeps its
    meaning. The `state_dict` of such a Training is independent of further training.
    """

    @property
    def micro_batch(self) -> int:
        """Images that pass through the model at a time: at first the whole batch."""

    def limit_micro_batch(self, images: int) -> None:
        """From the next epoch on let at most so many pass at a time; at least 2, as BatchNorm needs."""


@runtime_checkable
class EndsEarly(Protocol):
    """What a Training offers besides whose recipe has a patience of its own."""

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to train: after the recipe's last epoch, or before it."""


@runtime_checkable
class WarmsUp(Protocol):
    """What a Training offers besides whose learning rate rises at first: how far it can be judged by what it has learned."""

    @property
    def steps_at_full_rate(self) -> int:
        """Steps done since the rate has come to its peak, in this phase of the training."""


@runtime_checkable
class SmoothsLabels(Protocol):
    """What a Training offers besides whose losses are of smoothed labels: what they cost where nothing is known depends on it."""

    @property
    def label_smoothing(self) -> float:
        """The fraction of each target that is spread evenly over all classes."""


@runtime_checkable
class Precise(Protocol):
    """What a Training offers besides that chooses by its device in which type it computes."""

    @property
    def precision(self) -> str:
        """The type of its matrix products and convolutions, "float32" or "bfloat16"."""


class Predictor(Protocol):
    """A trained model with the preprocessing it was trained for."""

    def __call__(self, images: Any) -> torch.Tensor:
        """Probabilities N×classes (float32, on the CPU) of uint8 images N×C×H×W (tensor or array), in their order."""


class Trainer(Protocol):
    """`trainers/NAME.py` holds one as `trainer`."""

    @property
    def hyperparameters(self) -> Sequence[type]:
        """Frozen dataclasses whose fields together are the names a recipe's params may use: defaults, units, checks."""

    def check(self, recipe: Recipe, suits: Suits, data_folder: Path) -> None:
        """Prove, before it begins, that a run of this recipe can: weights are there, sizes fit, all settings act in its epochs.

        Raises InvalidInput, MissingInput or BadData.
        """

    def begin(self, recipe: Recipe, data: Data, device: str) -> Training:
        """A run at its very beginning; depends on nothing that ran before in this process."""

    def restore(self, snapshot: Mapping[str, Any], device: str) -> Predictor:
        """The predictor that `Training.snapshot` described. Raises BadData for any other content."""


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

    def __call__(self, dataset: str, suits: Suits) -> StudyPlan:
        """The plan for a data set and what suits it."""


# ----------------------------------------------------------------------------------------------------- scheduling


class Decision(enum.Enum):
    """What becomes of a run after an epoch."""

    GO_ON = "go on"
    PAUSE = "pause"  # checkpointed; the scheduler may resume it later
    STOP = "stop"  # pruned


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What a scheduler sees of a run: after epoch e it is worth `values[e - 1]`, by the metric's rule."""

    run_id: str
    number: int
    status: Status
    values: tuple[float, ...]  # NaN where nothing finite was measured yet


class Scheduler(Protocol):
    """Decides where epochs are spent. Pure: the same curves give the same decisions."""

    @property
    def pauses(self) -> bool:
        """Whether it pauses runs, which it may want again when the study is extended, even after they ended as PRUNED."""

    def next_rung(self, epochs: int) -> int:
        """The epoch after which it wants to decide next, for a run that has `epochs` behind it; more than `epochs`."""

    def decide(self, curve: Curve, others: Sequence[Curve]) -> Decision:
        """What becomes of the run with this curve; `others` are all other runs of the study."""

    def resume(self, paused: Sequence[Curve], others: Sequence[Curve], *, last: bool) -> str | None:
        """The run_id of the paused run to go on with, or None to begin a new one.

        With `last` none is begun any more: when nothing runs and this is None, the paused runs end as PRUNED.
        """


# --------------------------------------------------------------------------------------------------------- executors


class Executor(Protocol):
    """Where workers run. All executors give the same events for the same jobs.

    A worker is a place with a number, filled anew when what fills it dies; that number is its own for the whole session.
    """

    @property
    def workers(self) -> int:
        """How many jobs can run at a time: those in service."""

    def start(self, job: Job, avoid: int | None = None) -> int | None:
        """Hand the job to a free worker, there must be one, and return its number.

        Not to `avoid`, unless that is the only one in service. None when `avoid` is the only free one: try again later.
        """

    def grant(self, run_id: str, until_epoch: int) -> None:
        """Let the run train up to and including this epoch."""

    def stop(self, run_id: str, keep: bool = False) -> None:
        """End the run's job. With `keep` its checkpoint is written first, and `Paused` follows."""

    def replace(self, worker: int) -> None:
        """End what fills this place, whatever it does, and fill it anew. A job that it had is reported by `WorkerLost`."""

    def retire(self, worker: int) -> None:
        """End what fills this place, as `replace` does, and take it out of service."""

    def events(self, timeout: float) -> Sequence[Event]:
        """What has happened since the last call; waits up to `timeout` seconds for the first."""

    def close(self) -> None:
        """End all workers at once, whatever they do. May be called twice."""


class Clock(Protocol):
    """Handed in, so that a study can be simulated."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""


# ---------------------------------------------------------------------------------------------------------- archive


class RunArchive(Protocol):
    """What is kept of one run: a folder (`store.RunFolder`), or the memory of a simulation."""

    @property
    def path(self) -> Path:
        """The folder that workers are told to write the run's checkpoints to."""

    def begun(self) -> bool:
        """Whether there is a record."""

    def write(self, record: RunRecord) -> None:
        """Replace the record. Raises DiskError."""

    def append(self, epoch: Epoch) -> None:
        """Add one epoch. Raises DiskError."""

    def epochs(self) -> list[Epoch]:
        """The recorded epochs, 1, 2, 3, … Raises BadData."""

    def keep_epochs(self, epochs: Sequence[Epoch]) -> None:
        """Replace the recorded epochs by these. Raises DiskError."""

    def begin_attempt(self, number: int) -> None:
        """Let the worker of this attempt, and no other one, replace the run's checkpoints from now on. Raises DiskError."""

    def end_attempts(self) -> None:
        """Let no worker replace them. Raises DiskError."""

    @property
    def resumable(self) -> bool:
        """Whether there is a checkpoint to resume from."""

    def delete_checkpoints(self, *, last: bool = True, best: bool = True) -> None:
        """Remove checkpoints that nothing needs any more. Raises DiskError."""


class StudyArchive(Protocol):
    """What is kept of a study's runs: the truth that a conductor writes and begins from."""

    def run_id(self, kind: Kind, name: str) -> str:
        """How the run of this kind and name is called everywhere."""

    def folder(self, record: RunRecord) -> RunArchive:
        """What is kept of the run that this record is of."""

    def runs(self, *kinds: Kind) -> Sequence[RunRecord]:
        """The records of all runs of these kinds, in the order of their names. Raises BadData."""


# ---------------------------------------------------------------------------------------------- observers, reports


class Observer(Protocol):
    """Copies what is recorded. Never read back, never slower than a queue, unable to hurt a run.

    A session begins with the replay of what is recorded. Calls come in the order of the record. A run may be opened again (a new
    attempt, or a rebuild): `epochs` is then all that is recorded of it so far, and what follows continues from there. An observer
    in a process of its own may raise, and is heard there; the conductor's side never does.
    """

    def opened(self, record: RunRecord, epochs: Sequence[Epoch]) -> None:
        """A job for this run was started."""

    def measured(self, record: RunRecord, epoch: Epoch) -> None:
        """An epoch was recorded."""

    def closed(self, record: RunRecord) -> None:
        """The run's final state, or PAUSED, was recorded."""

    def finish(self, timeout: float) -> str | None:
        """Nothing more will come: complete the copy, within `timeout` seconds. Returns a warning if it could not."""


Report = Callable[["Frames"], "pd.DataFrame"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """What a report is a pure function of: one row per run, and one row per epoch (`reports/_frames.py` says which columns)."""

    runs: pd.DataFrame
    epochs: pd.DataFrame
