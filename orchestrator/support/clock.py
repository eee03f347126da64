"""Time, handed in where it matters, so that a study can be simulated."""

import time
from typing import Protocol, final


@final
class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()


class Clock(Protocol):
    """Handed in, so that a study can be simulated."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
