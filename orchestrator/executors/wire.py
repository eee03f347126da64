"""The messages between conductor and worker: commands to it, events from it."""

from dataclasses import dataclass

from orchestrator.jobs import Began, Event, Failed, Finished, Job, Measured, Paused, Reduced, Saved
from orchestrator.support.message_lines import LineCodec


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

COMMANDS = LineCodec[Command](Job, Grant, Stop)
EVENTS = LineCodec[Event](Began, Reduced, Measured, Saved, Paused, Finished, Failed)
