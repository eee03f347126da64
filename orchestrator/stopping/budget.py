"""The time budget of a session: what the search may use, and what is reserved for the steps after it."""

from dataclasses import dataclass
from typing import final

from orchestrator.contracts import DataSetInfo, StudyPlan
from orchestrator.record import RunRecord, Status
from orchestrator.stopping.rules import SessionEnd
from orchestrator.support.clock import Clock
from orchestrator.support.durations import format_duration

# Time per image of a training step in units of a prediction's: the backward pass costs about twice the forward pass
# (Kaplan et al., Scaling Laws for Neural Language Models, 2020, section 2.1).
_STEP_PER_PREDICTION = 3
# On the estimate: start of the workers, reading of the data, checkpoints, and the scatter of the measured epochs.
_MARGIN = 1.15
# For the end of the session itself: workers stop, and the copies in W&B and Optuna's database are completed.
CLOSING_SECONDS = 5.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Afterwards:
    """Estimated seconds of the full retrain and the submission, from the measured `epoch_seconds`."""

    retrain: float
    submission: float
    epoch_seconds: float

    @property
    def seconds(self) -> float:
        """The sum with a margin, and with the end of the search's own session."""
        return _MARGIN * (self.retrain + self.submission) + CLOSING_SECONDS

    def describe(self) -> str:
        """A phrase for the user."""
        return (
            f"{format_duration(self.seconds)} are reserved for the full retrain ({format_duration(self.retrain)}) "
            f"and the submission ({format_duration(self.submission)}), at {self.epoch_seconds:.3g} s per epoch"
        )


def afterwards(plan: StudyPlan, info: DataSetInfo, *, epoch_seconds: float, predictions: int) -> Afterwards:
    """The time needed after the search, from the seconds of one epoch; `predictions` are the images of the submission.

    The retrain is a single run, on training and confirmation images.
    """
    train = info.train_images - info.validation_images - info.confirmation_images
    return Afterwards(
        retrain=plan.retrain_epochs * epoch_seconds * (train + info.confirmation_images) / train,
        submission=predictions * epoch_seconds / train / _STEP_PER_PREDICTION,
        epoch_seconds=epoch_seconds,
    )


@final
class Budget:
    """Ends the search in time: `seconds` from `began` (as `elapsed` of the clock) are for it and for all that comes afterwards.

    Seconds per epoch are those measured on the best COMPLETE trial, which will be trained again; before there is one, the mean
    over all epochs. Nothing is reserved until an epoch was measured. No trial is started that cannot reach `useful_epochs`, nor
    one in the time that the most promising trial needs to be the first COMPLETE one. Running trials are suspended one epoch
    before the time is up, because a suspended run finishes its epoch first.
    """

    def __init__(
        self,
        *,
        seconds: float,
        began: float,
        clock: Clock,
        plan: StudyPlan,
        info: DataSetInfo,
        predictions: int,
        useful_epochs: int,
    ) -> None:
        self._seconds = seconds
        self._began = began
        self._clock = clock
        self._plan = plan
        self._info = info
        self._predictions = predictions
        self._useful_epochs = useful_epochs
        self._measured: dict[int, tuple[int, float]] = {}  # by trial: its epochs, and their seconds
        self._epochs = 0
        self._epoch_seconds = 0.0
        self._best: RunRecord | None = None
        self._paused: dict[int, RunRecord] = {}

    def note(self, record: RunRecord) -> None:
        """Add the time of the trial's new epochs."""
        epochs, seconds = self._measured.get(record.number, (0, 0.0))
        self._epochs += record.epochs - epochs
        self._epoch_seconds += record.seconds - seconds
        self._measured[record.number] = (record.epochs, record.seconds)
        self._paused.pop(record.number, None)
        if record.status is Status.PAUSED:
            self._paused[record.number] = record
        if record.beats(self._best):
            self._best = record

    def afterwards(self) -> Afterwards | None:
        """The reserved time, as far as it is known now; None before the first epoch."""
        if not self._epochs:
            return None
        best = self._best
        seconds = best.seconds / best.epochs if best is not None else self._epoch_seconds / self._epochs
        return afterwards(self._plan, self._info, epoch_seconds=seconds, predictions=self._predictions)

    def end(self) -> SessionEnd | None:
        """An end when no new trial could become useful; one that suspends when the time for the search is up."""
        reserved = self.afterwards()
        used = self._clock.elapsed() - self._began
        left = self._seconds - used - (reserved.seconds if reserved is not None else 0.0)
        epoch = self._epoch_seconds / self._epochs if self._epochs else 0.0
        if left > (self._useful_epochs + self._epochs_to_a_winner()) * epoch:
            return None
        reason = f"{format_duration(used)} of the budget of {format_duration(self._seconds)} is used"
        if reserved is not None:
            reason += f"; {reserved.describe()}"
        return SessionEnd(reason=reason, advice="run the same command with a new --budget to resume", suspend=left <= epoch)

    def _epochs_to_a_winner(self) -> int:
        """Epochs to be trained before a trial is COMPLETE; 0 where one is, or none is paused."""
        if self._best is not None or not self._paused:
            return 0
        leader = min(self._paused.values(), key=lambda record: (-record.epochs, record.order()))
        # Running trials reach their own rungs first, and one epoch before the time is up everything is suspended.
        return self._useful_epochs + leader.recipe.epochs - leader.epochs + 1
