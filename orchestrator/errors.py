"""Errors that a user can act on: each is one message and an exit code.

    OrchestrateError            1   any other error
    ├── InvalidInput            2   a value or an option that cannot be used
    │   └── UnknownName         2   a name that is not known; lists the known ones, nearest first
    ├── BadData                65   a file whose content is invalid
    ├── MissingInput           66   a file or a run that is needed does not exist
    ├── Unavailable            69   a service cannot be reached
    ├── DiskError              74   writing or reading failed
    ├── TryAgainLater          75   another process uses what is needed
    ├── Mismatch               78   plan or options do not match the study
    └── BadSettings            78   a default in a settings file or a variable cannot be used

A message says what happened, where, and what to do. The command line prints it without a traceback, and in one line, whatever
names are in it; what it lists is below it, a line each.
"""

import difflib
from collections.abc import Iterable

_MOST_LISTED = 20  # known names in a message: a study may have thousands of runs


class OrchestrateError(Exception):
    """The base of all errors that this project raises on purpose: a message of one line, and `items` where it lists several."""

    exit_code = 1

    def __init__(self, message: str = "", *, items: Iterable[str] = ()) -> None:
        self.message = message
        self.items = tuple(items)
        super().__init__("\n  ".join([message, *self.items]))


class InvalidInput(OrchestrateError):
    """A value or an option that cannot be used."""

    exit_code = 2


class UnknownName(InvalidInput):
    """A name that is not known.

    `what` says in the user's words what is named ("plan", "data set"). The message lists those of the `known` names that are most
    similar to `name`.
    """

    def __init__(self, what: str, name: str, known: Iterable[str], advice: str = "") -> None:
        names = nearest_first(name, known)
        listed = ", ".join(names[:_MOST_LISTED]) if names else "none"
        more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
        super().__init__(f"unknown {what} {name!r}; known: {listed}{more}{'; ' + advice if advice else ''}")


class BadData(OrchestrateError):
    """A file whose content is invalid: truncated, altered, of another shape."""

    exit_code = 65


class MissingInput(OrchestrateError):
    """A file or a run that is needed does not exist."""

    exit_code = 66


class Unavailable(OrchestrateError):
    """A service cannot be reached."""

    exit_code = 69


class DiskError(OrchestrateError):
    """Writing or reading failed."""

    exit_code = 74


class TryAgainLater(OrchestrateError):
    """Another process uses what is needed."""

    exit_code = 75


class Mismatch(OrchestrateError):
    """Plan or options do not match the existing study."""

    exit_code = 78


class BadSettings(OrchestrateError):
    """A default for options, in a settings file or a variable, that cannot be used."""

    exit_code = 78


def nearest_first(name: str, known: Iterable[str]) -> list[str]:
    """The known names, the most similar to `name` first, equally similar ones in alphabetical order."""

    def distance(candidate: str) -> tuple[float, str]:
        return (-difflib.SequenceMatcher(None, name.lower(), candidate.lower()).ratio(), candidate)

    return sorted(set(known), key=distance)
