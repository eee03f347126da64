"""Notices runs that have stopped getting on: no progress for many times the usual epoch."""

import statistics
from collections import deque
from dataclasses import dataclass
from typing import final

from orchestrator.support.clock import Clock

_LATEST_EPOCHS = 9  # of a run, whose median is its usual epoch
# Seconds; a longer pause between two looks is one of the conductor (suspended with its machine, stopped by Ctrl-Z), which says
# nothing about the workers.
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a run may say nothing, in seconds unless it says otherwise."""

    epochs: float = 20.0  # usual epochs of the run itself
    floor: float = 300.0  # at least: short epochs wait for disks, and for others on the machine
    beginning: float = 600.0  # for imports, reading the data and compiling, on top of the slowest usual epoch of this session
    unknown: float = 6 * 3600.0  # while nothing was measured: ResNet-50 at 224 pixels needs hours for an epoch on a CPU


USUAL = Patience()


@final
class Watchdog:
    """Keeps a deadline for each run that has a job. Time in which nobody looks does not count."""

    def __init__(self, clock: Clock, patience: Patience) -> None:
        self._clock = clock
        self._patience = patience
        self._looked = clock.now()
        self._watched = 0.0  # seconds in which runs were looked after
        self._slowest = 0.0  # seconds, of the usual epochs of this session's runs
        self._usual: dict[str, deque[float]] = {}
        self._since: dict[str, float] = {}  # on the scale of _watched
        self._allowed: dict[str, float] = {}

    def begin(self, run_id: str) -> None:
        """A job was sent to a worker, or has begun there."""
        self._usual[run_id] = deque(maxlen=_LATEST_EPOCHS)
        self._since[run_id] = self._watched
        patience = self._patience
        known = patience.beginning + max(patience.floor, patience.epochs * self._slowest)
        self._allowed[run_id] = known if self._slowest else patience.unknown

    def progress(self, run_id: str, seconds: float | None = None) -> None:
        """Something was heard of the run: an epoch that took so many `seconds`, or anything else."""
        self._since[run_id] = self._watched
        if seconds is not None:
            self._usual[run_id].append(seconds)
            usual = statistics.median(self._usual[run_id])
            self._slowest = max(self._slowest, usual)
            self._allowed[run_id] = max(self._patience.floor, self._patience.epochs * usual)

    def end(self, run_id: str) -> None:
        """The run has no job any more."""
        self._usual.pop(run_id, None)
        self._since.pop(run_id, None)
        self._allowed.pop(run_id, None)

    def overdue(self) -> list[tuple[str, str]]:
        """The runs that are believed to hang, and what is to be said about each. Looks at the clock."""
        now = self._clock.now()
        self._watched += min(max(now - self._looked, 0.0), _LONGEST_PAUSE)
        self._looked = now
        return [
            (run_id, f"no progress for {self._watched - since:.0f} s, {self._expectation(run_id)}")
            for run_id, since in self._since.items()
            if self._watched - since > self._allowed[run_id]
        ]

    def _expectation(self, run_id: str) -> str:
        usual = self._usual[run_id]
        return f"where an epoch takes {statistics.median(usual):.3g} s" if usual else "since its job began"
