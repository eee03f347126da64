"""The plans of simulated studies: what they may try of what was recorded."""

from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
from optuna.distributions import FloatDistribution, IntDistribution

from benchmarks.replay.curves import LearningCurves
from orchestrator.contracts import Baseline, StudyPlan
from orchestrator.recipe import Recipe
from orchestrator.support.seeds import derive

_SCALES: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda values: values,
    lambda values: np.log(np.maximum(values, np.finfo(np.float64).tiny)),
    # the distance to 1, as for the betas of Adam
    lambda values: -np.log(np.maximum(1.0 - values, np.finfo(np.float64).tiny)),
)


def drawn(curves: LearningCurves, seed: int, trials: int) -> StudyPlan:
    """`trials` different recorded configurations, drawn at random: seed and task decide which, and in which order."""
    numbers = np.random.default_rng(derive(seed, curves.task)).choice(len(curves.curves), trials, replace=False)
    baselines = tuple(Baseline(system=f"drawn {number}", params={"configuration": int(number)}) for number in numbers)
    return _plan(curves, {"configuration": IntDistribution(0, len(curves.curves) - 1)}, baselines)


def sampled(curves: LearningCurves) -> StudyPlan:
    """A sampler suggests every hyperparameter on its own scale, as a fraction of its recorded range."""
    return _plan(curves, {name: FloatDistribution(0.0, 1.0) for name in curves.hyperparameters}, ())


@final
class Nearest:
    """Finds the recorded configuration that is nearest to a point in [0, 1]^hyperparameters, every one on its own scale.

    A hyperparameter's scale is linear, logarithmic, or logarithmic in its distance to 1: the one on which its recorded values
    are spread most evenly.
    """

    def __init__(self, curves: LearningCurves) -> None:
        self._names = tuple(curves.hyperparameters)
        self._points = np.stack([_scaled(column) for column in curves.params.T], axis=1)

    def __call__(self, params: Mapping[str, Any]) -> int:
        """The number of the configuration."""
        asked = np.array([params[name] for name in self._names])
        return int(np.argmin(((self._points - asked) ** 2).sum(axis=1)))


def _scaled(values: np.ndarray) -> np.ndarray:
    """The values on the most even scale, as fractions of their range."""
    candidates: list[tuple[float, np.ndarray]] = []
    for scale in _SCALES:
        scaled = scale(values)
        if scaled.max() == scaled.min():
            continue  # values above 1 have no distance to it
        scaled = (scaled - scaled.min()) / (scaled.max() - scaled.min())
        # Kolmogorov and Smirnov's distance to the uniform distribution
        distance = float(np.abs(np.sort(scaled) - np.linspace(0.0, 1.0, len(scaled))).max())
        candidates.append((distance, scaled))
    return min(candidates, key=lambda candidate: candidate[0])[1]


def _plan(curves: LearningCurves, space: Mapping[str, Any], baselines: tuple[Baseline, ...]) -> StudyPlan:
    return StudyPlan(
        recipe=Recipe(plan="replay", trainer="recorded", dataset=curves.task, epochs=curves.epochs, seed=0),
        space=space,
        metric=curves.metric,
        epochs=curves.epochs,
        confirm_epochs=curves.epochs,
        retrain_epochs=curves.epochs,
        baselines=baselines,
    )
