"""The standard streams: data alone go to stdout, whatever plug-ins, libraries and child processes print."""

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from typing import TextIO

_data: TextIO | None = None  # what was stdout, while a command works


def prepare() -> None:
    """For the process of a command: open the streams that are closed, and let `sys.stdout` alone lead to its stdout.

    A file that is opened while a stream is closed would get the stream's descriptor, and whatever a library prints would be
    written into it. After this, descriptors 0 to 2 are taken. What C code and child processes write to descriptor 1 goes to
    stderr; `sys.stdout` is a stream of its own.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest free descriptor, which is this one
    if sys.stderr is None:
        sys.stderr = _text(2, "utf-8", "backslashreplace", by_line=True)
    if isinstance(sys.__stdout__, io.TextIOWrapper):  # leads to stderr from here on: lines should come in their order
        sys.__stdout__.reconfigure(line_buffering=True, errors="backslashreplace")
    elsewhere = os.dup(1)
    os.dup2(2, 1)
    stdout, terminal = sys.stdout, os.isatty(elsewhere)
    # Programs are given UTF-8 whatever the locale is; a terminal what it can show.
    encoding, errors = (stdout.encoding, "backslashreplace") if terminal and stdout is not None else ("utf-8", "surrogateescape")
    sys.stdout = _text(elsewhere, encoding, errors, by_line=terminal)


def _text(descriptor: int, encoding: str, errors: str, *, by_line: bool) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(descriptor, "w")), encoding=encoding, errors=errors, line_buffering=by_line
    )


@contextlib.contextmanager
def only_data_on_stdout() -> Iterator[None]:
    """While a command works, `print` goes to stderr, and `emit` to what was stdout before."""
    global _data  # noqa: PLW0603 - as sys.stdout, there is one in a process
    before = _data
    _data = sys.stdout if before is None else before
    with contextlib.redirect_stdout(sys.stderr if sys.stderr is not None else io.StringIO()):
        try:
            yield
        finally:
            _data = before


def emit(text: str, *, end: str = "\n") -> None:
    """Print data, in a command. Raises OSError where they cannot be written."""
    if _data is not None:  # its descriptor was closed before the start
        _data.write(text + end)
        _data.flush()


def data_width() -> int | None:
    """Characters to a line of the terminal that data go to; None for a file or a pipe."""
    if _data is None or not _data.isatty():
        return None
    asked = os.environ.get("COLUMNS", "")
    if re.fullmatch("[1-9][0-9]{0,8}", asked):
        return int(asked)
    try:
        return os.get_terminal_size(_data.fileno()).columns or None
    except (OSError, ValueError):  # no terminal of the system's
        return None
