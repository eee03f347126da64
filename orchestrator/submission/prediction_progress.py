"""How far the prediction of many images is."""

import sys
import time
from collections.abc import Callable
from typing import final

from orchestrator.support.activity import on_terminal

_SECONDS_BETWEEN_LINES = 10.0
_WHOLE_RATES = 10.0  # images per second, from which on a rate is shown without decimals


@final
class PredictionProgress:
    """A line now and then while many images are predicted; on a terminal one line that renews itself."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said = time.monotonic()
        self._begun = self._said
        self._in_line = False  # whether a line on the terminal waits for its end

    def __call__(self, done: int, total: int) -> None:
        """So many images are predicted, of so many."""
        now = time.monotonic()
        rate = done / max(now - self._begun, 1e-9)
        pace = f"{rate:,.0f}" if rate >= _WHOLE_RATES else f"{rate:.2g}"
        left = f", {(total - done) / rate:.0f} s left" if done < total else ""
        line = f"predicted {done:,} of {total:,} images, {pace} images/s{left}"
        if on_terminal():
            sys.stderr.write(f"\r{line}\x1b[K")
            sys.stderr.flush()
            self._in_line = True
        elif now - self._said >= _SECONDS_BETWEEN_LINES and done < total:
            self._said = now
            self._say(line)

    def end(self) -> None:
        """Nothing more is predicted, perhaps because of an error: what is said next begins a line."""
        if self._in_line:
            sys.stderr.write("\n")
            sys.stderr.flush()
        self._in_line = False
