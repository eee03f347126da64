"""What the studies of one pruner come to, with intervals, and the file that keeps it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from benchmarks.replay.study import Outcome

_RESAMPLES = 1000  # of the seeds, for the intervals


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Which studies a result is of."""

    curves: str  # "taskset" or "cifar100"
    configurations: str  # "random" or "tpe"
    workers: int
    pruner: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A mean over all studies, and its 95 % interval: the bootstrap's, over seeds, each with all its tasks."""

    mean: float
    low: float
    high: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the studies of one pruner come to. Times are in mean epochs of the task."""

    seeds: int
    saved: Figure  # epochs of full training, over epochs trained
    kept: Figure
    regret: Figure
    distance: Figure
    winner_known: Figure
    end: Figure
    tasks: Mapping[str, Mapping[str, float]]


def summed_up(outcomes: Mapping[str, Sequence[Outcome]]) -> Result:
    """The result of the studies of each task, in the order of their seeds."""
    seeds = len(next(iter(outcomes.values())))
    resampled = np.random.default_rng(0).integers(seeds, size=(_RESAMPLES, seeds))

    def values(name: str) -> npt.NDArray[np.float64]:  # seeds × tasks
        return np.array([[getattr(outcome, name) for outcome in task] for task in outcomes.values()], dtype=np.float64).T

    def figure(of: npt.NDArray[np.float64], per: npt.NDArray[np.float64] | None = None) -> Figure:
        sums, counts = of.sum(axis=1), (np.ones_like(of) if per is None else per).sum(axis=1)
        means = sums[resampled].sum(axis=1) / counts[resampled].sum(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        return Figure(mean=float(sums.sum() / counts.sum()), low=float(low), high=float(high))

    return Result(
        seeds=seeds,
        saved=figure(values("epochs_full"), values("epochs_trained")),
        **{name: figure(values(name)) for name in ("kept", "regret", "distance", "winner_known", "end")},
        tasks={task: _of_one_task(found) for task, found in outcomes.items()},
    )


def _of_one_task(outcomes: Sequence[Outcome]) -> dict[str, float]:
    names = ("kept", "regret", "distance", "winner_known", "end")
    means = {name: float(np.mean([getattr(outcome, name) for outcome in outcomes])) for name in names}
    trained = sum(outcome.epochs_trained for outcome in outcomes)
    return {"saved": sum(outcome.epochs_full for outcome in outcomes) / trained, **means}


def read(file: Path) -> dict[Key, Result]:
    """The results that `write` wrote; none where there is no file."""
    if not file.exists():
        return {}
    return {Key(**entry["of"]): _result(entry["result"]) for entry in json.loads(file.read_text())}


def write(file: Path, results: Mapping[Key, Result]) -> None:
    """All results, one entry each."""
    file.parent.mkdir(parents=True, exist_ok=True)
    entries = [{"of": asdict(key), "result": asdict(results[key])} for key in ordered(results)]
    file.write_text(json.dumps(_rounded(entries), indent=1) + "\n")


def ordered(keys: Iterable[Key]) -> list[Key]:
    """Sorted by what is compared with what, then by pruner."""
    return sorted(keys, key=lambda key: (key.curves != "taskset", key.configurations, key.workers, key.pruner))


def _result(content: dict[str, Any]) -> Result:
    figures = {name: Figure(**value) for name, value in content.items() if name not in ("seeds", "tasks")}
    return Result(seeds=content["seeds"], tasks=content["tasks"], **figures)


def _rounded(content: Any) -> Any:
    """Six digits are more than the intervals know."""
    if isinstance(content, dict):
        return {name: _rounded(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_rounded(value) for value in content]
    return float(f"{content:.6g}") if isinstance(content, float) else content
