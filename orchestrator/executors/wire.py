"""What conductor and worker say to each other: one JSON object a line, never a pickle."""

from dataclasses import dataclass

from orchestrator.errors import BadData
from orchestrator.jobs import Began, Event, Failed, Finished, Job, Measured, Paused, Reduced, Saved
from orchestrator.support.serialization import dumps, from_plain, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The run may train up to and including this epoch."""

    run_id: str
    until_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The run's job ends; with `keep` its checkpoint is written first."""

    run_id: str
    keep: bool = False


Command = Job | Grant | Stop

_COMMANDS = {kind.__name__: kind for kind in (Job, Grant, Stop)}
_EVENTS = {kind.__name__: kind for kind in (Began, Reduced, Measured, Saved, Paused, Finished, Failed)}


def encode(message: Command | Event) -> bytes:
    """One line, its line end included."""
    return (dumps({type(message).__name__: message}) + "\n").encode()


def decode_command(line: bytes) -> Command:
    """A line from the conductor. Raises BadData."""
    name, content = _open(line)
    return from_plain(_COMMANDS[name], content)  # type: ignore[return-value]  # the table holds nothing but commands


def decode_event(line: bytes) -> Event:
    """A line from a worker. Raises BadData."""
    name, content = _open(line)
    return from_plain(_EVENTS[name], content)  # type: ignore[return-value]  # the table holds nothing but events


def _open(line: bytes) -> tuple[str, object]:
    match parse(line):
        case {**only} if len(only) == 1:
            name, content = next(iter(only.items()))
            if name in _COMMANDS or name in _EVENTS:
                return str(name), content
    raise BadData(f"not a message: {line[:80]!r}")
