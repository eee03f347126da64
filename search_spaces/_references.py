"""Which settings of the challenge's reference systems can be first trials of a plan, on a given data set."""

from collections.abc import Mapping
from dataclasses import replace

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from orchestrator.contracts import Baseline
from search_spaces.reference_systems import SYSTEMS
from search_spaces.reference_systems.system import ReferenceSystem


def baselines(part: int, misfits: Mapping[str, str]) -> tuple[Baseline, ...]:
    """The settings of the reference systems of a part of the challenge: what plans sample of their recipes.

    `misfits` says why those of some systems ("003-P1") cannot stand for them in the plan's own network and loop.
    """
    return tuple(
        Baseline(system=system.system, params=_sampled(system), misfit=misfits.get(system.system, ""))
        for system in SYSTEMS
        if system.part == part
    )


def _sampled(system: ReferenceSystem) -> dict[str, float]:
    params = system.params
    phases = params.get("phases", ())
    return {
        "batch_size": params["batch_size"],
        # of several phases the last, which trains all layers
        "learning_rate": params["learning_rate"] * (phases[-1]["rate"] if phases else 1),
        "weight_decay": params["weight_decay"],
        "label_smoothing": params.get("label_smoothing", 0.0),
        # before the last layer, where a head has several; the largest of a network's blocks
        "dropout": max(params.get("dropout", 0.0), *(block.get("dropout", 0.0) for block in params.get("blocks", ({},)))),
    }


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
