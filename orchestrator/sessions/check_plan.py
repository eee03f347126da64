"""Check a plan before any trial is begun: whatever would fail in some trial is refused here."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator import plugins
from orchestrator.contracts import DataSet, StudyPlan, Trainer
from orchestrator.errors import BadData, InvalidInput, UnknownName
from orchestrator.hyperparameters import complete
from orchestrator.record import Metric
from orchestrator.scheduling.optuna_pruners import PRUNERS
from orchestrator.search.optuna_study import fitting
from orchestrator.search.spaces import contains, is_distribution
from orchestrator.support.serialization import canonical, from_plain, to_plain


def checked_plan(made: object, name: str) -> StudyPlan:
    """What a plan gave, as far as it can be judged alone. Raises BadData or InvalidInput."""
    if not isinstance(made, StudyPlan):
        raise BadData(f"plan {name!r} gives a {type(made).__name__} where an orchestrator.contracts.StudyPlan is expected")
    for field in ("epochs", "confirm_epochs", "retrain_epochs"):
        if getattr(made, field) < 1:
            raise InvalidInput(f"plan {name!r}: {field} must be at least 1, not {getattr(made, field)}")
    for parameter, distribution in made.space.items():
        if not is_distribution(distribution):
            raise BadData(f"plan {name!r}: the range of {parameter} must be an Optuna distribution, not {distribution!r}")
    try:
        from_plain(Metric, to_plain(made.metric))
    except BadData as error:
        raise BadData(f"plan {name!r}: {error}") from error
    check_known("trainer", made.recipe.trainer, plugins.names("trainer"), f"plan {name!r} names it")
    check_known("pruner", made.pruner, PRUNERS, f"plan {name!r} names it")
    return replace(made, recipe=replace(made.recipe, plan=name))


def check_space(plan: StudyPlan, trainer: Trainer, name: str) -> None:
    """Refuse, before any trial, what would fail in some or all of them. Raises UnknownName or InvalidInput."""
    known = set(complete(trainer.hyperparameters, {}))
    for parameter in (*plan.space, *plan.recipe.params):
        if parameter not in known:
            raise UnknownName("hyperparameter", parameter, known, f"plan {name!r} uses it, and its trainer does not have it")
    for parameter, distribution in plan.space.items():
        for value in _ends(distribution):
            try:
                complete(trainer.hyperparameters, {**plan.recipe.params, **_any_point(plan), parameter: value})
            except InvalidInput as error:
                raise InvalidInput(f"plan {name!r}: the range of {parameter} holds what its trainer refuses: {error}") from error
    for baseline in fitting(plan):
        for parameter, value in baseline.params.items():
            if parameter not in plan.space or not contains(plan.space[parameter], value):
                raise InvalidInput(f"plan {name!r}: {parameter} = {value} of the baseline {baseline.system} is outside its range")


def check_trainer(plan: StudyPlan, trainer: Trainer, dataset: DataSet, data_folder: Path) -> None:
    """Check that runs can begin: weights are there, sizes fit, and settings fit the length of every kind of run.

    Raises MissingInput, BadData or InvalidInput.
    """
    canonical(plan.recipe)
    info = dataset.info(data_folder)
    for what, params, epochs in _kinds_of_runs(plan):
        recipe = replace(plan.recipe, params=complete(trainer.hyperparameters, {**plan.recipe.params, **params}), epochs=epochs)
        try:
            trainer.check(recipe, info, data_folder)
        except InvalidInput as error:
            if not what:
                raise
            raise InvalidInput(f"plan {plan.recipe.plan!r}: {what}: {error}") from error


def check_known(what: str, name: str, known: Sequence[str], advice: str = "") -> None:
    """Refuse a name that is not known. Raises UnknownName."""
    if name not in known:
        raise UnknownName(what, name, known, advice)


def _ends(distribution: Any) -> tuple[Any, ...]:
    """The values between which, or of which, a distribution draws."""
    return tuple(distribution.choices) if hasattr(distribution, "choices") else (distribution.low, distribution.high)


def _any_point(plan: StudyPlan) -> dict[str, Any]:
    """Some point of the search space, to try out what does not depend on which."""
    return {name: _ends(distribution)[0] for name, distribution in plan.space.items()}


def _kinds_of_runs(plan: StudyPlan) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Runs that differ in whether they can be trained: a name for each (none for the usual trial), params, number of epochs."""
    point = _any_point(plan)
    yield "", point, plan.epochs
    for name, distribution in plan.space.items():
        for choice in _ends(distribution)[1:]:
            if not isinstance(choice, int | float):
                yield f"{name} {choice}", {**point, name: choice}, plan.epochs
    for kind, epochs in (("confirmations", plan.confirm_epochs), ("retrains", plan.retrain_epochs)):
        if epochs != plan.epochs:
            yield f"its {kind}", point, epochs
