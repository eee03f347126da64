"""Which settings of the challenge's reference systems can be first trials of a plan, on a given data set."""

from collections.abc import Mapping
from dataclasses import replace

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from orchestrator.contracts import Baseline


def fitted(baselines: tuple[Baseline, ...], space: Mapping[str, BaseDistribution]) -> tuple[Baseline, ...]:
    """The baselines, with a reason why not at those whose settings lie outside `space` and that have no reason yet."""
    return tuple(baseline if baseline.misfit else replace(baseline, misfit=_outside(baseline, space)) for baseline in baselines)


def _outside(baseline: Baseline, space: Mapping[str, BaseDistribution]) -> str:
    reasons = []
    for name, distribution in space.items():
        value = baseline.params[name]
        if isinstance(distribution, CategoricalDistribution) and value not in distribution.choices:
            reasons.append(f"{name} {value} is none of {', '.join(map(str, distribution.choices))}")
        if isinstance(distribution, FloatDistribution) and not distribution.low <= value <= distribution.high:
            reasons.append(f"{name} {value:g} is outside {distribution.low:g} to {distribution.high:g}")
    return "; ".join(reasons)
