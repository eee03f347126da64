"""Time, handed in where it matters, so that a study can be simulated."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, final

if TYPE_CHECKING:
    pass


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
