"""What is recorded of a run, and the one rule by which runs are compared."""

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from orchestrator.recipe import Recipe
from orchestrator.support.serialization import freeze

# What a RUNNING run is called while no process trains it. Never recorded: a process that is killed records nothing.
INTERRUPTED = "INTERRUPTED"

_YEAR_10000 = 253_402_300_800.0  # seconds since 1970-01-01 UTC: what calendars, ours and pandas', end with


class Kind(enum.StrEnum):
    """Why a run was made."""

    TRIAL = "trial"
    CONFIRM = "confirm"
    RETRAIN = "retrain"
    SINGLE = "single"


class Status(enum.StrEnum):
    """Where a run stands. RUNNING also covers a run whose process died: the next conductor takes it up again."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAILED = "FAILED"

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to the run."""
        return self in (Status.COMPLETE, Status.PRUNED, Status.FAILED)


class FailureKind(enum.StrEnum):
    """Why a run failed; each kind has its own rule for what happens next."""

    OUT_OF_MEMORY = "oom"
    DIVERGED = "diverged"  # NaN, infinite or exploding loss, or one that stays what knowing nothing costs
    CRASHED = "crashed"  # the trainer raised
    LOST = "lost"  # its worker died
    HUNG = "hung"  # no progress for many times the usual epoch
    DISK = "disk"
    DATA = "data"

    @property
    def of_setting(self) -> bool:
        """Whether the hyperparameters are the reason: what samplers call infeasible."""
        return self in (FailureKind.OUT_OF_MEMORY, FailureKind.DIVERGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLine:
    """A line of code that an exception came through."""

    file: str
    line: int
    function: str  # with its class: "Training.epoch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failure's kind, and one line that says what happened. The same on another worker, or from another line, is equal."""

    kind: FailureKind
    message: str
    error: str = ""  # the class of the exception, where there was one
    # The last line of the user's code, or else of ours, that an exception came through; then the one that raised, if another.
    source_lines: tuple[SourceLine, ...] = field(default=(), compare=False)
    # The file in the study's `logs` that has the whole traceback, or what a lost worker printed; "" where it went elsewhere.
    log: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What one pass over the training images measured. Accuracies are fractions in [0, 1], losses are in nats."""

    number: int  # 1 is the first epoch of training; nothing is measured before it
    train_loss: float  # mean over the epoch's batches as trained on: augmented, with dropout and label smoothing
    train_acc: float  # over the same augmented images
    val_loss: float  # cross entropy without label smoothing, through the evaluation transform
    val_acc: float
    lr: float  # the learning rate of the epoch's last step
    seconds: float  # wall time of training and validation
    batch_losses: tuple[float, ...] = ()  # one per step
    extra: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra", freeze(self.extra))


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The objective value of a run, the epoch that it comes from, and that epoch's validation loss."""

    epoch: int
    value: float
    val_loss: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"value is {self.value}, which is never the best")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """The metric to optimise. The objective value after epoch e is `rule(epochs[:e])`, everywhere the same.

    NaN and infinite values never count. Ties go to the lower validation loss, then to the earlier epoch.
    """

    name: str = "val_acc"
    direction: Literal["maximize", "minimize"] = "maximize"
    rule: Literal["best", "last"] = "best"

    def of(self, epoch: Epoch) -> float:
        """The metric of one epoch: a field of `Epoch`, or one of its extra values. NaN where it was not measured."""
        value = getattr(epoch, self.name, None)
        return float(value if isinstance(value, int | float) else epoch.extra.get(self.name, math.nan))

    def best(self, epochs: Sequence[Epoch]) -> Best | None:
        """The objective value of these epochs, or None while none of them has a finite value."""
        candidates = epochs[-1:] if self.rule == "last" else epochs
        found: Best | None = None
        for epoch in candidates:
            value = self.of(epoch)
            if math.isfinite(value):
                this = Best(epoch=epoch.number, value=value, val_loss=epoch.val_loss)
                if found is None or self.order(this) < self.order(found):
                    found = this
        return found

    def objective_values(self, epochs: Sequence[Epoch]) -> tuple[float, ...]:
        """The objective value after each of these epochs, as `best` gives it; NaN while nothing finite was measured.

        In one pass over the epochs, where asking `best` after each takes a time that grows with their square.
        """
        better = max if self.direction == "maximize" else min
        values: list[float] = []
        known = math.nan
        for epoch in epochs:
            value = self.of(epoch)
            if self.rule == "last" or math.isnan(known):
                known = value if math.isfinite(value) else math.nan
            elif math.isfinite(value):
                known = better(known, value)
            values.append(known)
        return tuple(values)

    def order(self, best: Best) -> tuple[float, float]:
        """A sort key: the better comes first; among equal values the lower validation loss."""
        loss = best.val_loss if math.isfinite(best.val_loss) else math.inf
        return (-best.value if self.direction == "maximize" else best.value, loss)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a run's numbers come from. Times are seconds since 1970-01-01 UTC."""

    study: str  # the study's uuid
    commit: str = ""  # of the working directory, "" outside a git checkout
    dirty: bool = False  # whether that checkout had uncommitted changes
    host: str = ""
    device: str = ""
    threads: int = 0  # of the worker; sums of floats depend on it
    precision: str = ""  # of products, "float32" or "bfloat16", where the trainer chooses it by the device
    validation_images: int = 0  # that val_acc is measured on
    skipped_images: int = 0  # damaged files that were left out of the data set
    versions: Mapping[str, str] = field(default_factory=dict)
    data_digest: str = ""  # sha256 of the training images and labels that were read
    classes_digest: str = ""  # sha256 of the names of the classes, in their order; "" where they have none
    switches: Mapping[str, str] = field(default_factory=dict)  # variables that were set for the worker and change numbers
    started: float = 0.0
    finished: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "versions", freeze(self.versions))
        object.__setattr__(self, "switches", freeze(self.switches))
        for name, moment in (("started", self.started), ("finished", self.finished or 0.0)):
            if not 0 <= moment < _YEAR_10000:
                raise ValueError(f"{name} is {moment}, no time that a calendar has")

    def ended(self, now: float) -> "Provenance":
        """The same, finished `now`; at its own start where the clock was set back meanwhile."""
        return replace(self, finished=max(now, self.started))


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What the record knows of a checkpoint file: the last epoch in it, and the sha256 of its bytes."""

    epoch: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One measurement on images that were neither trained on nor chosen by. `loss` in nats, `acc` a fraction."""

    images: int
    loss: float
    acc: float
    digest: str = ""  # sha256 of the images and labels


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """The state of one run. Written RUNNING before its job starts; a finished status is the commit."""

    run_id: str
    kind: Kind
    number: int  # of the trial, or of the trial that a retrain repeats
    attempt: int = 1  # jobs started for this run; an event of an earlier attempt is dropped
    setbacks: tuple[Failure, ...] = ()  # what went wrong and was tried again
    micro_batch: int = 0  # images that pass through the model at a time, since the whole batch did not fit; 0: all of it
    recipe: Recipe
    metric: Metric = field(default_factory=Metric)
    status: Status = Status.RUNNING
    failure: Failure | None = None
    best: Best | None = None
    epochs: int = 0  # recorded so far
    seconds: float = 0.0  # of training and validation, summed over the recorded epochs
    last: Checkpoint | None = None
    best_checkpoint: Checkpoint | None = None
    test: Evaluation | None = None
    reference: str | None = None  # the reference system whose setting this is, "004-P1"
    # PAUSED by the end of a session, not by the scheduler: the first to go on in the next one
    suspended: bool = field(default=False, metadata={"formerly": "put_by"})
    enqueued: str | None = None  # the file in which a user asked for this setting
    replicate_of: str | None = None  # run_id of the trial whose setting this trains again, with another seed
    provenance: Provenance

    def __post_init__(self) -> None:
        for name in ("number", "attempt", "micro_batch", "epochs"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, which is below 0")
        check_duration("seconds", self.seconds)

    def with_totals(self, epochs: Sequence[Epoch]) -> "RunRecord":
        """The record with the totals of its epochs: how many, how long, and the objective value."""
        seconds = sum(epoch.seconds for epoch in epochs)
        return replace(self, best=self.metric.best(epochs), epochs=len(epochs), seconds=seconds)

    def order(self) -> tuple[float, float, float, int]:
        """A sort key, the best run first: the metric, then lower validation loss, then cheaper, then earlier."""
        if self.best is None:
            return (math.inf, math.inf, self.seconds, self.number)
        return (*self.metric.order(self.best), self.seconds, self.number)

    def beats(self, best: "RunRecord | None") -> bool:
        """Whether this run is COMPLETE and better than the best COMPLETE one so far. A pruned run was not trained fully."""
        return self.status is Status.COMPLETE and (best is None or self.order() < best.order())


def check_duration(name: str, seconds: float) -> None:
    """Raise ValueError where this is no number of seconds that anything can take."""
    if not 0 <= seconds < _YEAR_10000:
        raise ValueError(f"{name} is {seconds}, no duration")


def best_complete(records: Iterable[RunRecord]) -> RunRecord | None:
    """The best COMPLETE run, or None."""
    best: RunRecord | None = None
    for record in records:
        if record.beats(best):
            best = record
    return best
