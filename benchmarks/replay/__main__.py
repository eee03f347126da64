"""`make replay`, or `python -m benchmarks.replay [--seeds N] [--pruners a,b] [--workers 1,4] [--configurations random,tpe]`.

Everything that the documentation shows, unless less is asked for. Results are added to those that are there: judging one pruner
again fills its rows and leaves the others.
"""

import argparse
import itertools
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.replay import results
from benchmarks.replay.curves import ROOT, TASKSET, tasks
from benchmarks.replay.pruners import NAMES
from benchmarks.replay.results import Key, Result
from benchmarks.replay.studies import replay
from benchmarks.replay.study import Configurations, Outcome
from benchmarks.replay.tables import put, tables
from orchestrator.scheduling.optuna_pruners import PRUNERS

CONFIGURATIONS: tuple[Configurations, ...] = ("random", "tpe")
WORKERS = (1, 4, 16, 64)
SEEDS = 200
SEEDS_OF_TPE = 50  # the sampler takes three times as long as everything else together
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTATION = ROOT / "docs" / "pruners.md"


def main() -> None:
    """Replay what is asked for, print the tables, and keep them."""
    given = _given()
    here = [task for task in tasks() if task.split("/")[0] in given.curves]
    if "taskset" in given.curves and not TASKSET.is_file():
        print("the curves of TaskSet are not there (../shared/data/taskset/curves.npz): left out", file=sys.stderr)
    file = given.output / "replay.json"
    found = results.read(file)
    with ProcessPoolExecutor(given.processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for key, of in list(_studies(given, here)):
            started = time.monotonic()
            seeds = given.seeds or (SEEDS_OF_TPE if key.configurations == "tpe" else SEEDS)
            work = list(itertools.product(of, range(seeds)))
            chunk = max(1, len(work) // (8 * given.processes))
            outcomes = list(pool.map(replay, itertools.repeat(key), *zip(*work, strict=True), chunksize=chunk))
            per_task: dict[str, list[Outcome]] = {task: [] for task in of}
            for (task, _), outcome in zip(work, outcomes, strict=True):
                per_task[task].append(outcome)
            found[key] = result = results.summed_up(per_task)
            results.write(file, found)
            _say(key, result, time.monotonic() - started)
    text = tables(found)
    (given.output / "replay.md").write_text(text)
    if given.output == RESULTS:
        put(DOCUMENTATION, text)
    print(text)


def _say(key: Key, result: Result, seconds: float) -> None:
    print(
        f"{key.curves} {key.configurations} workers {key.workers} {key.pruner}: saved {result.saved.mean:.2f}x, "
        f"kept {result.kept.mean:.3f}, regret {result.regret.mean:.4f} ({result.regret.low:.4f}-{result.regret.high:.4f}), "
        f"distance {result.distance.mean:.4f}; {seconds:.0f} s",
        file=sys.stderr,
    )


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--seeds", type=int, help=f"{SEEDS} unless said otherwise, {SEEDS_OF_TPE} with TPE")
    parser.add_argument("--pruners", type=_known(NAMES), default=NAMES, help=f"of {', '.join(NAMES)}; separated by commas")
    parser.add_argument("--workers", type=_numbers, help="simulated workers, such as 1,4,16,64")
    parser.add_argument("--configurations", type=_known(CONFIGURATIONS), help="how they are chosen, such as random,tpe")
    parser.add_argument("--curves", type=_known(("taskset", "cifar100")), default=("taskset", "cifar100"))
    parser.add_argument("--processes", type=int, default=2, help="that replay at the same time")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for replay.json and replay.md")
    return parser.parse_args()


def _studies(given: argparse.Namespace, here: list[str]) -> Iterator[tuple[Key, list[str]]]:
    """The results that are asked for, and the tasks of each.

    Unless they are asked for, Optuna's own settings are compared with one worker and random configurations only. TPE needs more
    recorded configurations than there are of CIFAR-100.
    """
    for source, pruner in itertools.product(given.curves, given.pruners):
        whole = source == "taskset" and pruner in PRUNERS
        of = [task for task in here if task.startswith(source + "/")]
        for configurations in given.configurations or (CONFIGURATIONS if whole else ("random",)):
            for workers in given.workers or (WORKERS if whole and configurations == "random" else (1,)):
                if of and not (source == "cifar100" and configurations == "tpe"):
                    yield Key(curves=source, configurations=configurations, workers=workers, pruner=pruner), of


def _known(names: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """Reads names that are separated by commas."""

    def read(text: str) -> tuple[str, ...]:
        found = tuple(text.split(","))
        unknown = [name for name in found if name not in names]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(names)}")
        return found

    return read


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


if __name__ == "__main__":
    main()
