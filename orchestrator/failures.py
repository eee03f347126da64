"""What went wrong in a worker: an exception becomes a kind of failure, and one line that says what happened."""

import errno
import math
import statistics
from collections.abc import Sequence

from orchestrator.contracts import Diverged
from orchestrator.errors import BadData, DiskError, MissingInput
from orchestrator.record import Epoch, Failure, FailureKind

_LONGEST_MESSAGE = 500  # characters

# A network that knows nothing and says so has a training loss of ln(classes), with label smoothing too; one that is as wrong as
# it is sure has more. Three times as much, in the middle of a whole epoch and long after the first steps with their spikes, is
# what an optimiser leaves whose weights have grown out of reach. The classes' chance is never that bad by bad luck.
_EXPLODED = 3.0  # times ln(classes)
_STEPS_BEFORE_JUDGING = 100

# What has not come this far below ln(classes) after so many steps has learned nothing: two of the challenge's reference systems
# were trained to their end so, and reported. Slow settings that do learn, SGD at .003 with batches of 512 for one, are far below
# by then.
_CHANCE = 0.995  # times ln(classes)
_STEPS_BEFORE_CHANCE = 500


def described(error: Exception) -> Failure:
    """The failure that an exception means."""
    return Failure(kind=_kind(error), message=_one_line(error), error=type(error).__name__)


def hopeless(epochs: Sequence[Epoch], classes: int) -> str:
    """Why the last of these epochs shows that more of them cannot help, although all losses are finite, or "".

    The median of its step losses is judged, so that a spike in few steps is forgiven, against ln(classes), what knowing nothing
    costs in nats, with label smoothing and mixed images, too: above three times as much the run has diverged, once it has done
    100 steps, or 2 epochs where its trainer does not tell the losses of steps. One that is not half a percent below it after
    500 steps is at chance: the last quarter of the epoch's steps is judged.
    """
    last = epochs[-1]
    steps = sum(len(epoch.batch_losses) for epoch in epochs)
    if steps < _STEPS_BEFORE_JUDGING if steps else len(epochs) < 2:
        return ""
    nothing = math.log(classes)
    loss = statistics.median(last.batch_losses) if last.batch_losses else last.train_loss
    if loss > _EXPLODED * nothing:
        return (
            f"the training loss exploded: {loss:.3g} in epoch {last.number}, where not knowing anything costs "
            f"{nothing:.3g} with {classes} classes"
        )
    if steps < _STEPS_BEFORE_CHANCE:
        return ""
    lately = statistics.median(last.batch_losses[-max(len(last.batch_losses) // 4, 1) :])
    if lately <= _CHANCE * nothing:
        return ""
    return (
        f"at chance: after {steps:,} steps the training loss is {lately:.4g}, and not knowing anything costs {nothing:.4g} with "
        f"{classes} classes; the learning rate may be too high, or too low"
    )


def is_out_of_memory(error: Exception) -> bool:
    """Whether there was not enough memory, on the device or for the process."""
    # torch names it OutOfMemoryError on a GPU, and on the CPU raises RuntimeError from its allocator.
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


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
