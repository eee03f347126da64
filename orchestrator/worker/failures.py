"""What went wrong in a worker: an exception becomes a kind of failure, one line that says what happened, and where it arose."""

import sysconfig
import traceback
from pathlib import Path

from orchestrator import own_packages
from orchestrator.contracts import Diverged
from orchestrator.errors import BadData, DiskError, MissingInput
from orchestrator.record import Failure, FailureKind, SourceLine
from orchestrator.support.disk_lookups import is_of_the_disk
from orchestrator.support.gpu_memory import is_out_of_memory

_LONGEST_MESSAGE = 500  # characters
_INSTALLED = ("site-packages", "dist-packages")  # folders of libraries
_PYTHON = Path(sysconfig.get_path("stdlib"))
_HERE = Path(__file__).parent.parent  # this package; those of `own_packages` are beside it
_OURS = (_HERE, *(_HERE.parent / name for name in own_packages.NAMES))


def described(error: Exception) -> Failure:
    """The failure that an exception means."""
    return Failure(kind=_kind(error), message=_one_line(error), error=type(error).__name__, source_lines=source_lines(error))


def source_lines(error: BaseException) -> tuple[SourceLine, ...]:
    """Where an exception arose, for somebody who looks for the reason; () for one that was never raised.

    The last line of the user's own code that it came through, or of ours where there is none; and the line that raised it, often
    one of a library, where that is another one.
    """
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    found = [SourceLine(file=_recordable(code.co_filename), line=line, function=code.co_qualname) for code, line in frames]
    if not found:
        return ()
    ours = [each for each in found if _is_below(each.file, *_OURS)]
    theirs = [each for each in found if not _is_below(each.file, *_OURS) and not _is_of_a_library(each.file)]
    nearest, raised = (theirs or ours or found)[-1], found[-1]
    return (nearest,) if nearest == raised else (nearest, raised)


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
    text = _recordable(" ".join(str(error).split())) or type(error).__name__
    shown = text if isinstance(error, Diverged | BadData | MissingInput | DiskError) else f"{type(error).__name__}: {text}"
    return shown if len(shown) <= _LONGEST_MESSAGE else shown[: _LONGEST_MESSAGE - 3] + "..."


def _is_of_a_library(file: str) -> bool:
    return file.startswith("<") or _is_below(file, _PYTHON) or not set(_INSTALLED).isdisjoint(Path(file).parts)


def _is_below(file: str, *folders: Path) -> bool:
    return any(Path(file).is_relative_to(folder) for folder in folders)


def _recordable(text: str) -> str:
    """The text with an escape in the place of what no record can hold: a path or a message may quote bytes that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
