"""Jobs, which workers get, and events, which workers report: plain values that travel as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from orchestrator.recipe import Recipe
from orchestrator.record import Epoch, Evaluation, Failure, Metric
from orchestrator.support.gpu_memory import GpuMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt at a run, as a worker gets it. Paths are absolute texts."""

    run_id: str
    attempt: int
    recipe: Recipe
    metric: Metric
    until_epoch: int  # granted so far; the worker waits there for more
    folder: str  # of the run; the worker writes its checkpoints there and nothing else
    resume: bool = False  # from the last checkpoint, where there is a sound one
    measure: Literal["none", "test"] = "none"  # what the best epoch is measured on after the last one
    checkpoint_share: float = 0.02  # of the training time may go into checkpoints; 0 writes none before the end
    micro_batch: int = 0  # images that may pass through the model at a time, as an earlier epoch or attempt found; 0: any number
    keep_last: bool = False  # whether the checkpoint to resume from is also written after the last epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a worker knows of itself and its data; becomes part of the provenance."""

    host: str
    device: str
    threads: int
    versions: Mapping[str, str]
    data_digest: str
    precision: str  # of products, where the trainer chooses it by the device; else ""
    validation_images: int  # that every accuracy of its epochs is measured on
    classes_digest: str = ""  # sha256 of the names of the classes; "" where they have none
    skipped_images: int = 0  # damaged files that were left out of the data set
    switches: Mapping[str, str] = field(default_factory=dict)  # variables that were set there and change numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """The job's training has begun after `epochs` (none: from scratch), which are all that the run has.

    They come from the checkpoint itself: it may know an epoch that the conductor could not record any more, and epochs that were
    recorded after it are trained again. `note` says why a checkpoint that is there was not used.
    """

    run_id: str
    attempt: int
    epochs: tuple[Epoch, ...]
    facts: Facts
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """The memory was not enough: the epoch is trained again from its beginning with smaller micro-batches."""

    run_id: str
    attempt: int
    epoch: int
    micro_batch: int  # images that pass through the model at a time from now on


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """An epoch was trained and validated."""

    run_id: str
    attempt: int
    epoch: Epoch
    memory: GpuMemory | None = None  # None where there is no GPU


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The checkpoint to resume from is on the disk."""

    run_id: str
    attempt: int
    epoch: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """The job was stopped with its checkpoint kept."""

    run_id: str
    attempt: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The job has trained all that its recipe asks for; the checkpoint to predict with is on the disk."""

    run_id: str
    attempt: int
    best_epoch: int
    best_sha256: str
    test: Evaluation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The job ended in an error that its worker survived."""

    run_id: str
    attempt: int
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLost:
    """A worker died, and is being replaced; `run_id` names the job that it had, if any."""

    worker: int
    message: str
    run_id: str = ""
    attempt: int = 0
    log: str = ""  # what it printed, in the study's folder of logs; "" elsewhere


Event = Began | Reduced | Measured | Saved | Paused | Finished | Failed | WorkerLost


def with_log(event: Event, log: str) -> Event:
    """The event; of a failure with the log that its worker prints tracebacks to."""
    return replace(event, failure=replace(event.failure, log=log)) if isinstance(event, Failed) else event
