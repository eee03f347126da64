"""Learning curves as Optuna's trials, for the in-memory studies of samplers and pruners."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from orchestrator.record import Status
from orchestrator.scheduling.base import Curve

_STATES = {
    Status.RUNNING: TrialState.RUNNING,
    Status.COMPLETE: TrialState.COMPLETE,
    Status.PRUNED: TrialState.PRUNED,
    Status.PAUSED: TrialState.PRUNED,  # so that good paused trials attract the sampler
    Status.FAILED: TrialState.FAIL,
}
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def state_of(curve: Curve) -> TrialState:
    """The state of the trial in Optuna."""
    if curve.status is Status.COMPLETE and not math.isfinite(curve.values[-1]):
        return TrialState.FAIL  # where the last epoch counts and measured nothing: Optuna has no COMPLETE without a value
    return _STATES[curve.status]


def reported(curve: Curve, *, first: int = 1) -> dict[int, float]:
    """The finite objective values by epoch, from the epoch `first` on."""
    return {step: value for step, value in enumerate(curve.values[first - 1 :], start=first) if math.isfinite(value)}


def ended_trial(
    curve: Curve,
    state: TrialState,
    *,
    params: Mapping[str, Any] = _NOTHING,
    space: Mapping[str, BaseDistribution] = _NOTHING,
    constraints: Mapping[str, float] = _NOTHING,
) -> FrozenTrial:
    """The trial that asking, reporting and telling would make; adding it takes a third of their time."""
    values = reported(curve)
    return create_trial(
        state=state,
        value=None if state is TrialState.FAIL else next(reversed(values.values()), None),
        params=dict(params),
        distributions=dict(space),
        intermediate_values=values,
        constraints=dict(constraints),
    )
