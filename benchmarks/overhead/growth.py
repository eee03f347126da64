"""Whether a long study becomes slower, larger, or slow to look at."""

import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring.figures import Claim, Figure, Result
from benchmarks.overhead.sessions import command, environment, resources, study

_PRUNERS = ("median", "promote")
_LOOKS = 5


def measure(quick: bool) -> Result:
    """A thousand trials that take no time, with a pruner that ends trials and with the one that pauses and resumes them."""
    trials = 200 if quick else 1000
    early, late = (trials // 20, 3 * trials // 20), (9 * trials // 10, trials - 1)  # 50 to 150, 900 to 999
    moments = (trials // 10, trials // 2, trials - 1)
    figures: list[Figure] = []
    claims: list[Claim] = []
    for pruner in _PRUNERS:
        with resources() as place:
            options = ("--trials", trials, "--pruner", pruner, "--workers", 1, "--mirror", "off")
            session = study(place, "synthetic", "growth", *map(str, options), moments=moments)
            looks = [_look(place) for _ in range(_LOOKS)]
            begun = [record.provenance.started for record in session.trials()]
        first, last = _between(begun, *early), _between(begun, *late)
        memory = [session.moments[number].memory_bytes / 2**20 for number in moments]
        figures += [
            Figure(name=f"{pruner}: from trial to trial, {early[0]} to {early[1]}", unit="ms", values=first),
            Figure(name=f"{pruner}: from trial to trial, {late[0]} to {late[1]}", unit="ms", values=last),
            *(
                Figure(name=f"{pruner}: conductor's memory at trial {number}", unit="MiB", values=(size,))
                for number, size in zip(moments, memory, strict=True)
            ),
            *_parts(pruner, session.moments[moments[0]].cpu_seconds, session.moments[moments[1]].cpu_seconds, moments[:2]),
            *_parts(pruner, session.moments[moments[1]].cpu_seconds, session.moments[moments[2]].cpu_seconds, moments[1:]),
        ]
        # The mean as well: most trials are not resumed, and a median would not see what a resumed one costs.
        slower = {"median": statistics.median(last) / statistics.median(first), "mean": _mean(last) / _mean(first)}
        claims += [
            *(
                Claim(figure=Figure(name=f"{pruner}: time per trial, late / early ({of})", unit="×", values=(value,)), must=2.0)
                for of, value in slower.items()
            ),
            Claim(figure=Figure(name=f"{pruner}: memory, late / early", unit="×", values=(memory[-1] / memory[0],)), must=1.05),
            Claim(figure=Figure(name=f"{pruner}: orchestrate status", unit="s", values=tuple(looks)), must=1.0),
        ]
    return Result(
        name="growth",
        title=f"A study of {trials} trials",
        conditions="A trainer that takes no time, 8 epochs, one worker, TPE, Optuna's SQLite copy on, W&B off. From the "
        "beginning of one trial to that of the next; of the conductor's process the resident memory, and user and system "
        "time.",
        figures=tuple(figures),
        claims=tuple(claims),
    )


def _parts(pruner: str, before: float, after: float, numbers: Sequence[int]) -> list[Figure]:
    first, last = numbers
    name = f"{pruner}: conductor, trials {first} to {last}"
    return [Figure(name=name, unit="ms CPU/trial", values=((after - before) / (last - first) * 1000,))]


def _between(begun: Sequence[float], first: int, last: int) -> tuple[float, ...]:
    """Milliseconds from each of these trials to the next."""
    return tuple((begun[number + 1] - begun[number]) * 1000 for number in range(first, last))


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values)


def _look(place: Path) -> float:
    """Wall seconds of `orchestrate status`."""
    started = time.perf_counter()
    words = command("status", "growth", "--runs", "runs")
    subprocess.run(words, cwd=place, env=environment(), check=True, capture_output=True)
    return time.perf_counter() - started
