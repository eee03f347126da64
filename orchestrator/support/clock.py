"""Time, handed in where it matters, so that a study can be simulated."""

import time
from typing import Protocol, final

# A clock that nobody sets and that also counts while the machine is suspended, as macOS's monotonic one does.
_STEADY: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


class Clock(Protocol):
    """Handed in, so that a study can be simulated."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC, at least 0. For records: a difference of two may be anything, since users set clocks."""

    def elapsed(self) -> float:
        """Seconds since some moment, for differences: nobody sets this clock, and it counts while the machine is suspended."""


@final
class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return max(time.time(), 0.0)  # the clock of a machine without a battery may stand before 1970

    def elapsed(self) -> float:
        """Seconds since the machine was started, or some other moment."""
        return time.monotonic() if _STEADY is None else time.clock_gettime(_STEADY)
