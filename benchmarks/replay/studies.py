"""The simulated studies as processes carry them out: by name, so that nothing but names and outcomes travels."""

from benchmarks.replay.curves import curves
from benchmarks.replay.results import Key
from benchmarks.replay.study import Configurations, Outcome, simulate


def replay(key: Key, task: str, seed: int) -> Outcome:
    """One of the studies that the result of `key` is of."""
    configurations: Configurations = "tpe" if key.configurations == "tpe" else "random"
    return simulate(curves(task), pruner_name=key.pruner, configurations=configurations, seed=seed, workers=key.workers)
