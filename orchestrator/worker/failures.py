"""What went wrong in a worker: an exception becomes a kind of failure, and one line that says what happened."""

from orchestrator.contracts import Diverged
from orchestrator.errors import BadData, DiskError, MissingInput
from orchestrator.record import Failure, FailureKind
from orchestrator.support.disk_lookups import is_of_the_disk
from orchestrator.support.gpu_memory import is_out_of_memory

_LONGEST_MESSAGE = 500  # characters


def described(error: Exception) -> Failure:
    """The failure that an exception means."""
    return Failure(kind=_kind(error), message=_one_line(error), error=type(error).__name__)


def is_device_error(failure: Failure) -> bool:
    """Whether the device itself refused. Its context in that process is lost: every later call would fail as well."""
    return failure.error == "AcceleratorError" or "CUDA error" in failure.message


def _kind(error: Exception) -> FailureKind:
    if isinstance(error, Diverged):
        return FailureKind.DIVERGED
    if is_out_of_memory(error):
        return FailureKind.OUT_OF_MEMORY
    if isinstance(error, DiskError) or (isinstance(error, OSError) and is_of_the_disk(error)):
        return FailureKind.DISK
    if isinstance(error, BadData | MissingInput):
        return FailureKind.DATA
    return FailureKind.CRASHED


def _one_line(error: Exception) -> str:
    said = str(error).encode(errors="backslashreplace").decode()  # a path in it may be no UTF-8, and records are
    text = " ".join(said.split()) or type(error).__name__
    shown = text if isinstance(error, Diverged | BadData | MissingInput | DiskError) else f"{type(error).__name__}: {text}"
    return shown if len(shown) <= _LONGEST_MESSAGE else shown[: _LONGEST_MESSAGE - 3] + "..."
