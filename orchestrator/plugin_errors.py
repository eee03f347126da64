"""Errors of plug-ins as one message: what failed, how, and at which line of the user's file."""

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path

from orchestrator import own_packages
from orchestrator.errors import BadData, DiskError, OrchestrateError
from orchestrator.support.disk_lookups import is_of_the_disk
from orchestrator.support.serialization import shortened


@contextlib.contextmanager
def blame_plugin(what: str) -> Iterator[None]:
    """Turn any exception of a user's plug-in into BadData, or DiskError: one line with file and line.

    Errors that are messages already pass, and so does MemoryError, which is nobody's fault.
    """
    try:
        with own_packages.blame_hidden_library():
            yield
    except (OrchestrateError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        kind = DiskError if isinstance(error, OSError) and is_of_the_disk(error) else BadData
        raise kind(f"{what} failed: {_described(error)}{_where(error)}") from error


def _described(error: BaseException) -> str:
    """The class of the error, and its text in one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # an error of the user's own may be without a text, or worse
        text = ""
    return f"{type(error).__name__}: {shortened(text)}" if text else type(error).__name__


def _where(error: BaseException) -> str:
    """The last line of a plug-in that the error came through, in brackets; "" where there is none."""
    if isinstance(error, SyntaxError) and error.filename:  # its code never ran
        return f" ({error.filename}, line {error.lineno})"
    ours = str(Path(__file__).parent)
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith((ours, "<")) and "site-packages" not in frame.filename]
    return f" ({theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""
