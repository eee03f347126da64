"""Detects runs that hang: no progress for many times their usual epoch."""

import statistics
from collections import deque
from dataclasses import dataclass
from typing import final

from orchestrator.support.clock import Clock

_LATEST_EPOCHS = 9  # of a run, whose median is its usual epoch
# Seconds; a longer pause between two checks is one of the conductor (suspended with its machine, stopped by Ctrl-Z), which says
# nothing about the workers.
_LONGEST_PAUSE = 10.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HangTimeouts:
    """How long a run may be silent before it counts as hung; in seconds, except for `epochs`."""

    epochs: float = 20.0  # usual epochs of the run itself
    minimum: float = 300.0  # also for short epochs: they wait for disks, and for other processes on the machine
    startup: float = 600.0  # for imports, reading the data and compiling, on top of the slowest usual epoch of this session
    first_epoch: float = 6 * 3600.0  # while nothing was measured: ResNet-50 at 224 pixels needs hours for an epoch on a CPU


HANG_TIMEOUTS = HangTimeouts()


@final
class Watchdog:
    """Keeps a deadline for each run that has a job. Time in which the conductor itself was stopped does not count."""

    def __init__(self, clock: Clock, timeouts: HangTimeouts) -> None:
        self._clock = clock
        self._timeouts = timeouts
        self._checked = clock.elapsed()
        self._watched = 0.0  # seconds in which runs were observed
        self._slowest = 0.0  # seconds, of the usual epochs of this session's runs
        self._durations: dict[str, deque[float]] = {}
        self._since: dict[str, float] = {}  # on the scale of _watched
        self._allowed: dict[str, float] = {}

    def begin(self, run_id: str) -> None:
        """Start the clock of a run whose job was sent to a worker."""
        self._durations[run_id] = deque(maxlen=_LATEST_EPOCHS)
        self._since[run_id] = self._watched
        timeouts = self._timeouts
        known = timeouts.startup + max(timeouts.minimum, timeouts.epochs * self._slowest)
        self._allowed[run_id] = known if self._slowest else timeouts.first_epoch

    def progress(self, run_id: str, seconds: float | None = None) -> None:
        """Note an event of the run: an epoch that took so many `seconds`, or anything else."""
        self._since[run_id] = self._watched
        if seconds is not None:
            self._durations[run_id].append(seconds)
            usual = statistics.median(self._durations[run_id])
            self._slowest = max(self._slowest, usual)
            self._allowed[run_id] = max(self._timeouts.minimum, self._timeouts.epochs * usual)

    def end(self, run_id: str) -> None:
        """Forget a run that has no job any more."""
        self._durations.pop(run_id, None)
        self._since.pop(run_id, None)
        self._allowed.pop(run_id, None)

    def overdue(self) -> list[tuple[str, str]]:
        """The runs that seem to hang, each with a message for the user. Reads the clock."""
        now = self._clock.elapsed()
        self._watched += min(max(now - self._checked, 0.0), _LONGEST_PAUSE)
        self._checked = now
        return [
            (run_id, f"no progress for {self._watched - since:.0f} s, {self._expectation(run_id)}")
            for run_id, since in self._since.items()
            if self._watched - since > self._allowed[run_id]
        ]

    def _expectation(self, run_id: str) -> str:
        durations = self._durations[run_id]
        return f"where an epoch takes {statistics.median(durations):.3g} s" if durations else "since its job began"
