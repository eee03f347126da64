"""`python -m benchmarks.replay.equal_epochs [SEEDS]`: what a pruner's saving buys when it is spent on more trials.

For every source of curves: trials, epochs trained, and the final loss of the winner less the best of the task, in units of the
task's median less its best; configurations drawn at random, one worker.
"""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from statistics import mean, stdev

from benchmarks.replay.curves import curves, tasks
from benchmarks.replay.study import Outcome, simulate

_CASES = (("median", 40), ("promote", 40), ("promote", 60), ("promote", 80))
_SEEDS = 40


def main() -> None:
    """Replay every case with every seed on every task, and print a Markdown table."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else _SEEDS
    print("| curves | pruner | trials | epochs trained | distance ± standard error | studies |\n|---|---|---|---|---|---|")
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for source, (pruner, trials) in product(dict.fromkeys(task.split("/")[0] for task in tasks()), _CASES):
            of = [task for task in tasks() if task.startswith(source + "/")]
            work = [(task, pruner, trials, seed) for task, seed in product(of, range(seeds))]
            found = list(pool.map(_study, work, chunksize=4))
            distances = [outcome.distance for outcome in found]
            spread = stdev(distances) / len(distances) ** 0.5
            epochs = mean(outcome.epochs_trained for outcome in found)
            print(
                f"| {source} | {pruner} | {trials} | {epochs:.0f} | {mean(distances):.3f} ± {spread:.3f} | {len(found)} |",
                flush=True,
            )


def _study(case: tuple[str, str, int, int]) -> Outcome:
    task, pruner, trials, seed = case
    return simulate(curves(task), pruner_name=pruner, configurations="random", seed=seed, trials=trials)


if __name__ == "__main__":
    main()
