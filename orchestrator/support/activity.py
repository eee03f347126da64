"""What this process is doing now: a command tells it when it has said nothing for long."""

import contextlib
import sys
from collections.abc import Callable, Iterator

_activities: list[Callable[[], str]] = []  # the innermost last


@contextlib.contextmanager
def doing(what: str | Callable[[], str]) -> Iterator[None]:
    """While something takes long. `what` is a phrase for the user, or gives one at the moment when it is told."""
    text = what if callable(what) else lambda: what
    _activities.append(text)
    try:
        yield
    finally:
        _activities.remove(text)


def activity() -> str:
    """The innermost thing that takes long now; "" where there is none, or where it shows itself."""
    activities = _activities[-1:]
    return activities[0]() if activities else ""


def on_terminal() -> bool:
    """Whether messages go to a terminal, on which a progress bar can move."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextlib.contextmanager
def bar_or(what: str | Callable[[], str]) -> Iterator[None]:
    """`doing` where messages go to a file or a pipe; on a terminal something moves, and nothing is to be said between."""
    with doing("" if on_terminal() else what):
        yield
