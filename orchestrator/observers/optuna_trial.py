"""A recorded trial as Optuna's: what `optuna-dashboard` and `optuna.load_study` show of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, final

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from orchestrator.record import Epoch, RunRecord, Status
from orchestrator.support.serialization import comparable, to_plain

_STATES = {
    Status.RUNNING: TrialState.RUNNING,
    Status.PAUSED: TrialState.RUNNING,  # Optuna's finished states are final, and a paused run may be resumed
    Status.COMPLETE: TrialState.COMPLETE,
    Status.PRUNED: TrialState.PRUNED,
    Status.FAILED: TrialState.FAIL,
}


@final
@dataclass(slots=True, kw_only=True)
class RecordedTrial:
    """What is recorded of a trial, and which part of that is known to be in the database."""

    record: RunRecord
    epochs: list[Epoch]
    published: FrozenTrial | None = None
    trial_id: int = -1

    def wanted(
        self, distributions: Mapping[str, BaseDistribution], written: Mapping[str, Sequence[str]] = MappingProxyType({})
    ) -> FrozenTrial:
        """The trial as the database should have it. `written` has for hyperparameters with choices the text of each choice."""
        record, best = self.record, self.record.best
        state = _STATES[record.status]
        if state is TrialState.COMPLETE and best is None:
            state = TrialState.FAIL  # Optuna has no COMPLETE without a value
        params, attributes = {}, _attributes(record)
        for name, distribution in distributions.items():
            if name in record.recipe.params:
                value = _chosen(distribution, record.recipe.params[name], written.get(name, ()))
                if _fits(distribution, value):
                    params[name] = value
                else:
                    attributes[f"{name} outside the space"] = to_plain(value)
        trial = create_trial(
            state=state,
            value=best.value if best is not None and state in (TrialState.COMPLETE, TrialState.PRUNED) else None,
            params=params,
            distributions={name: distributions[name] for name in params},
            user_attrs=attributes,
            intermediate_values=self._curve(),
            constraints={record.failure.kind.value: 1.0} if record.failure and record.failure.kind.of_setting else None,
        )
        trial.datetime_start = datetime.fromtimestamp(record.provenance.started)  # Optuna's are local
        if state.is_finished() and record.provenance.finished is not None:
            trial.datetime_complete = datetime.fromtimestamp(record.provenance.finished)
        return trial

    def _curve(self) -> dict[int, float]:
        """The objective value after each epoch, by the metric's rule; epochs without a finite value are left out."""
        values = self.record.metric.objective_values(self.epochs)
        return {epoch.number: value for epoch, value in zip(self.epochs, values, strict=True) if not math.isnan(value)}


def same_trial(there: FrozenTrial, wanted: FrozenTrial) -> bool:
    """Whether the database has all that is wanted of a finished trial."""
    return (
        there.state is wanted.state
        and there.value == wanted.value
        and there.params == wanted.params
        and there.distributions == wanted.distributions
        and there.intermediate_values == wanted.intermediate_values
        and there.constraints == wanted.constraints
        and all(there.user_attrs.get(name) == value for name, value in wanted.user_attrs.items())
    )


def _chosen(distribution: BaseDistribution, value: Any, texts: Sequence[str]) -> Any:
    """The choice that a record, where values are complete, means; the value itself where no choice is the same."""
    if isinstance(distribution, CategoricalDistribution):
        text = comparable(value)
        known = texts or [comparable(choice) for choice in distribution.choices]
        for choice, its_text in zip(distribution.choices, known, strict=True):
            if text == its_text:
                return choice
    return value


def _fits(distribution: BaseDistribution, value: Any) -> bool:
    try:
        create_trial(state=TrialState.RUNNING, params={"value": value}, distributions={"value": distribution})
    except (ValueError, TypeError):
        return False
    return True


def _attributes(record: RunRecord) -> dict[str, Any]:
    """What Optuna has no field for. Seconds are those of training and validation; losses are in nats.

    What changes with every epoch is written once, when the trial ends: each is a transaction of its own.
    """
    attributes: dict[str, Any] = {"run_id": record.run_id, "status": record.status.value}
    if record.reference is not None:
        attributes["reference"] = record.reference
    if record.replicate_of is not None:
        attributes["replicate_of"] = record.replicate_of
    if record.status is Status.RUNNING:
        return attributes
    attributes |= {"epochs": record.epochs, "seconds": record.seconds}
    if record.best is not None:
        attributes["best_epoch"] = record.best.epoch
        if math.isfinite(record.best.val_loss):
            attributes["val_loss"] = record.best.val_loss
    if record.failure is not None:
        attributes["failure"] = f"{record.failure.kind.value}: {record.failure.message}"
    return attributes
