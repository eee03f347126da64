"""Errors that a user can act on: each is one message, and the exit code that goes with it.

    OrchestrateError            1   something went wrong; the message says what
    ├── InvalidInput            2   a value or an option that cannot be used
    │   └── UnknownName         2   a name that nobody registered; lists the known ones, nearest first
    ├── BadData                65   a file is there and is not what it should be
    ├── MissingInput           66   something that is needed is not there
    ├── Unavailable            69   a service cannot be reached
    ├── DiskError              74   the disk refused to write or to read
    ├── TryAgainLater          75   somebody else holds what is needed
    └── Mismatch               78   plan or options do not match the study

A message says what happened, where, and what to do about it. The command line prints it without a traceback.
"""

import difflib
from collections.abc import Iterable

_MOST_LISTED = 20  # known names in a message: a study may have thousands of runs


class OrchestrateError(Exception):
    """The root: catch this to catch everything that this project raises on purpose."""

    exit_code = 1


class InvalidInput(OrchestrateError):
    """A value or an option that cannot be used."""

    exit_code = 2


class UnknownName(InvalidInput):
    """A name that nobody registered.

    `what` is the kind of thing in the user's words ("plan", "data set"); `known` are the names that would have worked, of which
    the message lists those most like `name`.
    """

    def __init__(self, what: str, name: str, known: Iterable[str], advice: str = "") -> None:
        names = nearest_first(name, known)
        listed = ", ".join(names[:_MOST_LISTED]) if names else "none"
        more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
        super().__init__(f"unknown {what} {name!r}; known: {listed}{more}{'; ' + advice if advice else ''}")


class BadData(OrchestrateError):
    """A file is there and is not what it should be: truncated, altered, of another shape."""

    exit_code = 65


class MissingInput(OrchestrateError):
    """Something that is needed is not there."""

    exit_code = 66


class Unavailable(OrchestrateError):
    """A service cannot be reached."""

    exit_code = 69


class DiskError(OrchestrateError):
    """The disk refused to write or to read."""

    exit_code = 74


class TryAgainLater(OrchestrateError):
    """Somebody else holds what is needed."""

    exit_code = 75


class Mismatch(OrchestrateError):
    """Plan or options do not match the study that is there."""

    exit_code = 78


def nearest_first(name: str, known: Iterable[str]) -> list[str]:
    """The known names, those most like `name` first; equally distant ones in alphabetical order."""

    def distance(candidate: str) -> tuple[float, str]:
        return (-difflib.SequenceMatcher(None, name.lower(), candidate.lower()).ratio(), candidate)

    return sorted(set(known), key=distance)
