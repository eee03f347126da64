"""Which settings of the challenge's reference systems can be first trials of a plan, on a given data set."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator.contracts import Baseline
from orchestrator.support.serialization import comparable
from orchestrator.support.wording import in_full
from search_spaces.reference_systems.support.system import ReportedSystem

# What a system that does not state these trains with: the parts of a network and the targets are left as they are.
_OFF = {"label_smoothing": 0.0, "dropout": 0.0}


def baselines(
    systems: Iterable[ReportedSystem], space: Mapping[str, BaseDistribution], misfits: Mapping[str, str]
) -> tuple[Baseline, ...]:
    """The systems' settings of the hyperparameters in `space`, each with the reason why it cannot be a first trial, if any.

    `misfits` gives the reasons that only the plan knows, by system ("003-P1"); settings outside `space` have theirs from here.
    """
    found = []
    for system in systems:
        params = _setting(system.params, space)
        misfit = misfits.get(system.system, "") or "; ".join(_outside(params, space))
        found.append(Baseline(system=system.system, params=params, misfit=misfit))
    return tuple(found)


def _setting(params: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The values of these hyperparameters; of a network with several dropouts the largest, of other values the first."""
    phases, parts = params.get("phases", ()), (params, *params.get("blocks", ()))
    found = {}
    for name in names:
        values = [part[name] for part in parts if name in part]
        if values or name in _OFF:
            numbers = all(isinstance(value, int | float) for value in values)
            found[name] = max(values, default=_OFF.get(name)) if numbers else values[0]
    if phases and "learning_rate" in found:
        found["learning_rate"] *= phases[-1]["rate"]  # the last phase trains all layers
    return found


def _outside(params: Mapping[str, Any], space: Mapping[str, BaseDistribution]) -> Iterator[str]:
    """Why the setting is not in `space`: a reason for each value."""
    for name, distribution in space.items():
        value = params.get(name)
        if value is None:
            yield f"{name} is not stated"
        elif isinstance(distribution, CategoricalDistribution):
            if comparable(value) not in map(comparable, distribution.choices):
                yield f"{name} {in_full(value)} is none of {', '.join(map(in_full, distribution.choices))}"
        elif isinstance(distribution, FloatDistribution | IntDistribution):
            if not isinstance(value, int | float):
                yield f"{name} {in_full(value)} is no number"
            elif not distribution.low <= value <= distribution.high:
                yield f"{name} {value:g} is outside {distribution.low:g} to {distribution.high:g}"
