"""Messages for the user."""

import contextlib
import sys


def say(line: str) -> None:
    """Print a line to stderr, so that stdout holds only data. A stderr that is closed or full is ignored."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
