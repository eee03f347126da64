"""The plain loop, with the number of workers that is best for it here, and how both sides are timed."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.measuring.figures import Claim, Figure, ratio
from benchmarks.measuring.rounds import alternated
from benchmarks.training.setting import Bound, Setting

OURS, PLAIN = "shared loop", "plain loop"
WORKERS = (0, 2, 4)  # processes of the plain loop's DataLoader, of which the fastest number is its peer

Pass = Callable[[], int]  # does the work once; returns how many images that were


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The best number of workers, and what was measured of each."""

    workers: int
    figures: tuple[Figure, ...]


def choose(setting: Setting, make: Callable[[int], Pass]) -> Choice:
    """Measure the plain loop with each number of workers; `make` prepares its pass for one."""
    found = {}
    for workers in WORKERS:
        once = make(workers)
        once()
        values = tuple(speed(setting, once) for _ in range(setting.choosing_passes - 1))
        found[workers] = Figure(name=f"{PLAIN}, {workers} workers, to choose among", unit="images/s", values=values)
    best = max(found, key=lambda workers: found[workers].median)
    return Choice(workers=best, figures=tuple(found.values()))


def speeds(setting: Setting, sides: Mapping[str, Pass], rounds: int) -> dict[str, list[float]]:
    """Images/s of every side in every round, in alternating order, after one pass of each that does not count."""
    for once in sides.values():
        once()

    def timed(once: Pass) -> Callable[[str], float]:
        return lambda _: speed(setting, once)

    return alternated({name: timed(once) for name, once in sides.items()}, rounds)


def speed(setting: Setting, once: Pass) -> float:
    """Images/s of a pass."""
    setting.wait()
    started = time.perf_counter()
    images = once()
    setting.wait()
    return images / (time.perf_counter() - started)


def compared(bound: Bound, measured: Mapping[str, list[float]]) -> Claim:
    """How many times faster the shared loop is, round by round."""
    return Claim(
        figure=ratio(f"{OURS} / {PLAIN}", measured[OURS], measured[PLAIN]), sense="at least", must=bound.must, aim=bound.aim
    )


def figures(measured: Mapping[str, list[float]], unit: str = "images/s") -> dict[str, Figure]:
    """What was measured of each side."""
    return {name: Figure(name=name, unit=unit, values=tuple(values)) for name, values in measured.items()}
