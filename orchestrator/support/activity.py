"""How commands tell what they are doing while it takes long."""

import sys


def on_terminal() -> bool:
    """Whether messages go to a terminal, on which a progress bar can move."""
    return sys.stderr is not None and sys.stderr.isatty()
