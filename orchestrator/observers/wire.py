"""What a conductor and the process of an observer say to each other: one JSON text a line, never a pickle.

conductor -> process   the configuration, then Opened, Measured, Closed …, then Finish
process -> conductor   one Started, and one Finished
"""

from dataclasses import dataclass
from typing import Literal

from orchestrator.errors import BadData, Mismatch, OrchestrateError, TryAgainLater, Unavailable
from orchestrator.record import Epoch, RunRecord
from orchestrator.support.serialization import dumps, from_plain, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class StartError:
    """Why an observer could not begin. `message` is for the user, and holds no password."""

    kind: Literal["unavailable", "mismatch", "busy", "failed"]
    message: str

    def error(self) -> OrchestrateError:
        """The same as an error with its exit code: 69, 78, 75 or 1."""
        kinds = {"unavailable": Unavailable, "mismatch": Mismatch, "busy": TryAgainLater, "failed": OrchestrateError}
        return kinds[self.kind](self.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """`Observer.opened`."""

    record: RunRecord
    epochs: tuple[Epoch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """`Observer.measured`."""

    record: RunRecord
    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """`Observer.closed`."""

    record: RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """`Observer.finish`; the process is killed after `timeout` seconds."""

    timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The observer stands, or why it does not."""

    error: StartError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The copy is complete, or why it is not."""

    warning: str | None = None


Call = Opened | Measured | Closed | Finish
Answer = Started | Finished

_KINDS: dict[str, type[Call | Answer]] = {kind.__name__: kind for kind in (Opened, Measured, Closed, Finish, Started, Finished)}


def line(message: Call | Answer) -> bytes:
    """A message as one line."""
    return (dumps({type(message).__name__: message}) + "\n").encode()


def message(text: bytes) -> Call | Answer:
    """The message that a line holds. Raises BadData."""
    match parse(text):
        case dict(named) if len(named) == 1 and (name := next(iter(named))) in _KINDS:
            return from_plain(_KINDS[name], named[name])
    raise BadData(f"{text[:80]!r} is no message between a conductor and an observer")
