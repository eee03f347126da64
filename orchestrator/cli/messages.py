"""Messages for the user."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from orchestrator.support.activity import activity
from orchestrator.support.wording import printable

LONGEST_SILENCE = 25.0  # seconds: at least one line in 30, whatever takes long

_writing = threading.Lock()
_said = time.monotonic()


def say(line: str) -> None:
    """Print a line to stderr, so that stdout holds only data. A stderr that is closed or full is ignored."""
    global _said  # noqa: PLW0603 - as sys.stderr, there is one in a process
    _said = time.monotonic()
    if sys.stderr is None:
        return
    with _writing, contextlib.suppress(OSError, ValueError):
        sys.stderr.write(printable(line) + "\n")
        sys.stderr.flush()


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

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
