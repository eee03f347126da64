"""What to try next: Optuna's samplers, and a wrapper that suggests no setting twice."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, final

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from orchestrator.errors import UnknownName
from orchestrator.search.unused_points import Coordinates, Points

# Trials that TPE draws at random before it looks at any result: Optuna's default.
STARTUP_SETTINGS = 10

_SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(n_startup_trials=STARTUP_SETTINGS, seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}

SAMPLERS = tuple(_SAMPLERS)


def sampler_named(name: str) -> Callable[[int], optuna.samplers.BaseSampler]:
    """A function from a seed to the sampler of this name. Raises UnknownName."""
    if name not in _SAMPLERS:
        raise UnknownName("sampler", name, SAMPLERS)
    return _SAMPLERS[name]


@final
class UnusedPointSampler(optuna.samplers.BaseSampler):
    """Suggests a point that no trial has: asks one sampler after the other, then takes the nearest unused point.

    `samplers` differ in their seeds; `joint` is the space that they sample jointly, filled in once it is known. TPE proposes
    what it finds best, so in a space of few points it proposes the same again and again; next to that is where it would look.
    `fixed` are values that are given.
    """

    def __init__(
        self,
        samplers: Iterable[optuna.samplers.BaseSampler],
        *,
        space: Mapping[str, BaseDistribution],
        joint: dict[str, BaseDistribution],
        points: Points,
        taken: Collection[Coordinates],
        fixed: Mapping[str, Any],
        seed: int,
    ) -> None:
        self._samplers = samplers
        self._space = space
        self._joint = joint
        self._points = points
        self._taken = taken
        self._fixed = fixed
        self._seed = seed

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """The whole space, because a point is used or unused as a whole."""
        return dict(self._space)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """An unused point; where all are used, the last one that was proposed."""
        if search_space.keys() <= self._fixed.keys():
            return {}
        for sampler in self._samplers:
            proposed = {**self._proposal(sampler, study, trial, search_space), **self._fixed}
            if self._points.coordinates(proposed) not in self._taken:
                return proposed
        return self._points.nearest(proposed, self._taken, self._fixed, self._seed) or proposed

    def sample_independent(
        self,
        study: optuna.Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        """Not supported: points are suggested as a whole. Raises RuntimeError."""
        raise RuntimeError(f"{param_name} cannot be sampled alone")

    def _proposal(
        self,
        sampler: optuna.samplers.BaseSampler,
        study: optuna.Study,
        trial: FrozenTrial,
        space: Mapping[str, BaseDistribution],
    ) -> dict[str, Any]:
        """What Optuna would have suggested with this sampler: jointly what it samples jointly, and the rest independently."""
        sampler.before_trial(study, trial)
        if not self._joint:
            self._joint.update(sampler.infer_relative_search_space(study, trial))
        found = sampler.sample_relative(study, trial, dict(self._joint))
        for name, distribution in space.items():
            if name not in found:
                found[name] = sampler.sample_independent(study, trial, name, distribution)
        return found
