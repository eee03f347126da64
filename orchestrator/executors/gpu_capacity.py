"""How many workers may share a GPU: what its memory allows, and what measured speed says. Pure arithmetic."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Bytes that a process takes on a GPU besides what torch reserves: the CUDA context and the libraries' workspaces, about 0.5 GB.
CONTEXT_BYTES = 2**30
# A worker may come to need so many times what any needed until now: batch sizes and widths differ from setting to setting, and
# running out of memory because of a neighbour would change what a trial is.
MARGIN = 2
MOST_WORKERS = 8  # per GPU: what they gain together grows slowly, and each costs the host's memory and cores
TRIALS_BEFORE_SHARING = 3  # whose memory is known
PAIRS = 3  # runs whose epochs were timed under both loads
SMALLEST_GAIN = 1.15  # times the throughput: less does not justify the memory, nor is it certain with so few pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Seconds that a usual epoch of one and the same run took with fewer and with more workers on its device."""

    fewer: float
    more: float


def room(peak: int, available: int) -> int:
    """How many workers the memory of a GPU has room for: 1, 2, 4 or 8.

    `peak` is the most that a worker has reserved, `available` what one alone could have, in bytes.
    """
    each = MARGIN * peak + CONTEXT_BYTES
    count = 1
    while 2 * count <= MOST_WORKERS and 2 * count * each <= available:
        count *= 2
    return count


def gain(fewer: int, more: int, timed: Sequence[Timed]) -> float:
    """Throughput of a device with `more` workers, as a multiple of that with `fewer`.

    Each run is compared with itself, because trials differ by far more than what is to be seen: an epoch of a wide network takes
    many times that of a narrow one. The mean, because a device may serve its runs unequally.
    """
    return more / fewer * statistics.mean(pair.fewer / pair.more for pair in timed)
