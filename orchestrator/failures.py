"""What went wrong in a worker: an exception becomes a kind of failure, and one line that says what happened."""

import errno
import math
import statistics
from collections.abc import Sequence

from orchestrator.contracts import Diverged
from orchestrator.errors import BadData, DiskError, MissingInput
from orchestrator.gpu_memory import is_out_of_memory
from orchestrator.record import Epoch, Failure, FailureKind

_LONGEST_MESSAGE = 500  # characters

# A network that knows nothing and says so has a training loss of ln(classes), with label smoothing too; one that is as wrong as
# it is sure has more. Three times as much, in the middle of a whole epoch and long after the first steps with their spikes, is
# what an optimiser leaves whose weights have grown out of reach. The classes' chance is never that bad by bad luck.
_EXPLODED = 3.0  # times ln(classes)
_STEPS_BEFORE_JUDGING = 100

# What has not come this far below ln(classes) after so many steps at its full rate has learned nothing: two of the challenge's
# reference systems were trained to their end so, and reported. Slow settings that do learn are below by then.
_CHANCE = 0.995  # times ln(classes)
_STEPS_BEFORE_CHANCE = 1000
_STEPS_BEFORE_CHANCE_AT_THE_END = 100
_STEPS_JUDGED = 100  # at least: of few, one that was hard, because its images were mixed for instance, would decide
_ONCE_LEARNED = 0.98  # times ln(classes); what has been below it in an epoch had learned something, and is not at chance


def described(error: Exception) -> Failure:
    """The failure that an exception means."""
    return Failure(kind=_kind(error), message=_one_line(error), error=type(error).__name__)


def hopeless(epochs: Sequence[Epoch], classes: int, *, at_full_rate: int, last: bool) -> str:
    """Why these epochs show that more of them cannot help, although all losses are finite, or "".

    Losses are judged against ln(classes), what knowing nothing costs in nats, with label smoothing and mixed images, too. Where
    the median of the last epoch's steps is above three times as much the run has diverged; that is judged once it has done 100
    steps, or 2 epochs where its trainer does not tell the losses of steps. A run that is not half a percent below it, in the
    median of its last steps, is at chance: after 1,000 steps `at_full_rate`, those since the warm-up, or at its `last` epoch
    after 100. Medians forgive spikes in few steps.
    """
    latest, nothing = epochs[-1], math.log(classes)
    losses = [loss for epoch in epochs for loss in epoch.batch_losses]
    if len(losses) < _STEPS_BEFORE_JUDGING if losses else len(epochs) < 2:
        return ""
    loss = statistics.median(latest.batch_losses) if latest.batch_losses else latest.train_loss
    if loss > _EXPLODED * nothing:
        return (
            f"the training loss exploded: {loss:.3g} in epoch {latest.number}, where not knowing anything costs "
            f"{nothing:.3g} with {classes} classes"
        )
    enough = _STEPS_BEFORE_CHANCE_AT_THE_END if last else _STEPS_BEFORE_CHANCE
    if at_full_rate < enough or any(epoch.train_loss <= _ONCE_LEARNED * nothing for epoch in epochs):
        return ""
    lately = statistics.median(losses[-max(len(latest.batch_losses) // 4, _STEPS_JUDGED) :])
    if lately <= _CHANCE * nothing:
        return ""
    return (
        f"at chance: after {len(losses):,} steps the training loss is {lately:.4g}, and not knowing anything costs {nothing:.4g} "
        f"with {classes} classes; the learning rate may be too high, or too low"
    )


def is_device_error(failure: Failure) -> bool:
    """Whether the device itself refused. Its context in that process is lost: every later call would fail as well."""
    return failure.error == "AcceleratorError" or "CUDA error" in failure.message


def _kind(error: Exception) -> FailureKind:
    if isinstance(error, Diverged):
        return FailureKind.DIVERGED
    if is_out_of_memory(error):
        return FailureKind.OUT_OF_MEMORY
    if isinstance(error, DiskError) or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EIO, errno.EFBIG)):
        return FailureKind.DISK
    if isinstance(error, BadData | MissingInput):
        return FailureKind.DATA
    return FailureKind.CRASHED


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    shown = text if isinstance(error, Diverged | BadData | MissingInput | DiskError) else f"{type(error).__name__}: {text}"
    return shown if len(shown) <= _LONGEST_MESSAGE else shown[: _LONGEST_MESSAGE - 3] + "..."
