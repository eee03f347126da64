"""The messages between a conductor and the process of an observer.

conductor -> process   the configuration, then Opened, Measured, Closed …, then Finish
process -> conductor   one Started, and one Finished
"""

from dataclasses import dataclass
from typing import Literal

from orchestrator.errors import Mismatch, OrchestrateError, TryAgainLater, Unavailable
from orchestrator.record import Epoch, RunRecord
from orchestrator.support.message_lines import LineCodec


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
    """The observer is ready, or why it is not."""

    error: StartError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The copy is complete, or why it is not; `note` says what kind of copy it is, where there are several."""

    warning: str | None = None
    note: str = ""


Call = Opened | Measured | Closed | Finish
Answer = Started | Finished

CALLS = LineCodec[Call](Opened, Measured, Closed, Finish)
ANSWERS = LineCodec[Answer](Started, Finished)
