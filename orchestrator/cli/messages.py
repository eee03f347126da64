"""Messages for the user."""

import contextlib
import contextvars
import sys
import threading
import time
from collections.abc import Callable, Iterator

import click

from orchestrator.support.activity import activity
from orchestrator.support.wording import one_line, printable

LONGEST_SILENCE = 25.0  # seconds: at least one line in 30, whatever takes long

_writing = threading.Lock()
_said = time.monotonic()
_reader: contextvars.ContextVar[Callable[[str], None] | None] = contextvars.ContextVar("reader", default=None)


def say(line: str) -> None:
    """Print a line to stderr, so that stdout holds only data. A stderr that is closed or full is ignored."""
    global _said  # noqa: PLW0603 - as sys.stderr, there is one in a process
    _said = time.monotonic()
    if (reader := _reader.get()) is not None:
        reader(printable(line))
        return
    if sys.stderr is None:
        return
    with _writing, contextlib.suppress(OSError, ValueError):
        sys.stderr.write(printable(line) + "\n")
        sys.stderr.flush()


@contextlib.contextmanager
def told_to(reader: Callable[[str], None] | None) -> Iterator[None]:
    """Give lines to a function instead, the heartbeat's from a thread of its own; None leaves them to stderr."""
    before = _reader.set(reader)
    try:
        yield
    finally:
        _reader.reset(before)


@contextlib.contextmanager
def heartbeat() -> Iterator[None]:
    """While a command works, say what it is doing whenever nothing was said for long.

    In a thread, because an epoch in this process, or a check of large files, may take minutes.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(min(1.0, LONGEST_SILENCE / 5)):
            with contextlib.suppress(Exception):  # what it tells of changes meanwhile, and a message is no reason to end
                if time.monotonic() - _said >= LONGEST_SILENCE and (text := activity()):
                    say(text)

    context = contextvars.copy_context()  # with the reader, if there is one
    threading.Thread(target=context.run, args=(beat,), name="heartbeat", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def advised(error: click.ClickException) -> str:
    """Click's message in lower case, with the command that prints the help."""
    message = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    advice = f" (see: {context.command_path} --help)" if context is not None else ""
    return one_line(message[:1].lower() + message[1:] + advice)


def of_the_disk(error: OSError) -> str:
    """What the operating system says of a file."""
    return one_line(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
