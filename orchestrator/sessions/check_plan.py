"""Check a plan before any trial is begun: whatever would fail in some trial is refused here."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator import plugins
from orchestrator.contracts import Baseline, DataSetInfo, StudyPlan, Trainer
from orchestrator.errors import BadData, InvalidInput, UnknownName
from orchestrator.hyperparameters import complete, names
from orchestrator.recipe import MOST_EPOCHS, Recipe
from orchestrator.record import Metric
from orchestrator.scheduling.optuna_pruners import PRUNERS
from orchestrator.search import spaces
from orchestrator.search.optuna_study import fitting
from orchestrator.search.written_values import Written, written_by
from orchestrator.support.serialization import canonical, freeze, from_plain, shortened, to_plain
from orchestrator.support.wording import one_line, short

# Points of a search space that are tried out: each takes a tenth of a millisecond.
_MOST_POINTS = 2000
# Fields of an epoch that say nothing of how good it is.
_NO_FIGURES = ("number", "batch_losses", "extra")


def checked_plan(made: object, name: str, dataset: str) -> StudyPlan:
    """What a plan gave for a data set, as far as it can be judged alone, its choices as plain data.

    Raises UnknownName, BadData or InvalidInput.
    """
    if not isinstance(made, StudyPlan):
        raise BadData(f"plan {name!r} gives a {type(made).__name__} where an orchestrator.contracts.StudyPlan is expected")
    _check_types(made, name)
    for field in ("epochs", "confirm_epochs", "retrain_epochs"):
        if not 1 <= (found := getattr(made, field)) <= MOST_EPOCHS:
            bound = "at least 1" if found < 1 else f"at most {MOST_EPOCHS:,}"
            raise InvalidInput(f"plan {name!r}: {field} must be {bound}, not {found}")
    space = {}
    for parameter, distribution in made.space.items():
        try:
            space[parameter] = spaces.plain(distribution)
        except TypeError as error:
            raise _unusable(name, f"the range of {parameter} {error}") from error
    if made.metric.name in _NO_FIGURES:
        raise InvalidInput(
            f"plan {name!r}: an epoch's {made.metric.name} is no figure that a metric can be; take val_acc or val_loss"
        )
    if made.recipe.dataset != dataset:
        raise BadData(
            f"plan {name!r}: its recipe is for the data set {made.recipe.dataset!r}, and it was asked for {dataset!r}; "
            "let it take its argument `dataset`"
        )
    check_known("trainer", made.recipe.trainer, plugins.names("trainer"), f"plan {name!r} names it")
    check_known("pruner", made.pruner, PRUNERS, f"plan {name!r} names it")
    baselines = tuple(_plain_baseline(baseline, name) for baseline in made.baselines)
    return replace(made, recipe=replace(made.recipe, plan=name), space=space, baselines=baselines)


def _check_types(made: StudyPlan, name: str) -> None:
    """That each field has its type: study.json and records are written as a plan has it, and read strictly. Raises BadData."""
    space: Mapping[Any, Any] = made.space
    baselines: Sequence[Any] = made.baselines
    kinds: dict[str, type] = {"recipe": Recipe, "metric": Metric, "space": Mapping, "baselines": Sequence}
    for field, kind in kinds.items():
        if not isinstance(found := getattr(made, field), kind):
            raise _unusable(name, f"{field} is of type {type(found).__name__} where a {kind.__name__} is expected")
    if wrong := [parameter for parameter in space if not isinstance(parameter, str)]:
        raise _unusable(name, f"space names a hyperparameter {wrong[0]!r}, which is no text")
    for baseline in baselines:
        if not isinstance(baseline, Baseline):
            raise _unusable(name, f"baselines holds a {type(baseline).__name__} where a Baseline is expected")
        if not isinstance(baseline.params, Mapping):
            raise _unusable(name, f"params of the baseline {baseline.system} are of type {type(baseline.params).__name__}")
    try:
        without_params = tuple(replace(baseline, params={}) for baseline in made.baselines)
        from_plain(StudyPlan, to_plain(replace(made, space={}, baselines=without_params)))
    except BadData as error:
        raise _unusable(name, str(error)) from error


def _unusable(name: str, why: str) -> BadData:
    """The error for what a plan gave. What it quotes may be any object, whose text may have many lines."""
    return BadData(f"plan {name!r}: {one_line(shortened(why))}")


def _plain_baseline(baseline: Baseline, name: str) -> Baseline:
    try:
        return replace(baseline, params=freeze(to_plain(baseline.params)))
    except TypeError as error:
        raise _unusable(name, f"the baseline {baseline.system} cannot be recorded: {error}") from error


def check_space(plan: StudyPlan, trainer: Trainer, name: str) -> None:
    """Refuse, before any trial, what would fail in some or all of them. Raises UnknownName or InvalidInput."""
    known = names(trainer.hyperparameters)
    for parameter in (*plan.space, *plan.recipe.params):
        if parameter not in known:
            raise UnknownName("hyperparameter", parameter, known, f"plan {name!r} uses it, and its trainer does not have it")
    for point in itertools.islice(_points(plan), _MOST_POINTS):
        if refusal := _refusal(trainer, plan, point):
            raise InvalidInput(f"plan {name!r}: {_to_blame(trainer, plan, point, refusal)}: {refusal}")
    written = written_by(plan.recipe.trainer)
    _refuse_same_choices(plan, name, written)
    for baseline in fitting(plan):
        for parameter, value in baseline.params.items():
            if parameter not in plan.space or not spaces.contains(plan.space[parameter], value, parameter, written):
                raise InvalidInput(
                    f"plan {name!r}: {parameter} = {short(value)} of the baseline {baseline.system} is outside its range"
                )


def _refuse_same_choices(plan: StudyPlan, name: str, written: Written) -> None:
    """Refuse a choice that is there twice: a study would never have tried all of its settings. Raises InvalidInput."""
    for parameter, distribution in plan.space.items():
        choices = spaces.ends(distribution)
        count = Counter(written(parameter, choice) for choice in choices)
        for choice in choices:
            if (times := count[written(parameter, choice)]) > 1:
                raise InvalidInput(f"plan {name!r}: {parameter} has {times} choices that mean {short(choice)}; leave one of them")


def check_trainer(plan: StudyPlan, trainer: Trainer, info: DataSetInfo, data_folder: Path) -> None:
    """Check that runs can begin: weights are there, sizes fit, and settings fit the length of every kind of run.

    Raises MissingInput, BadData or InvalidInput.
    """
    canonical(plan.recipe)

    def refusal(point: Mapping[str, Any], epochs: int) -> str:
        params = complete(trainer.hyperparameters, {**plan.recipe.params, **point})
        try:
            trainer.check(replace(plan.recipe, params=params, epochs=epochs), info, data_folder)
        except InvalidInput as error:
            return str(error)
        return ""

    first = _first_point(plan)
    for what, point, epochs in _kinds_of_runs(plan):
        if why := refusal(point, epochs):
            changed = {name: value for name, value in point.items() if value != first[name]}
            if not changed:  # what is the same in all these runs may be a setting whose other values are accepted
                others = {name: other for name, other, moved in _neighbours(plan, first) if not refusal(moved, epochs)}
                changed = {name: first[name] for name in others}
            where = ", ".join([*filter(None, [what]), *(f"{name} {short(value)}" for name, value in changed.items())])
            raise InvalidInput(f"plan {plan.recipe.plan!r}: {where}: {why}" if where else f"plan {plan.recipe.plan!r}: {why}")


def check_known(what: str, name: str, known: Sequence[str], advice: str = "") -> None:
    """Refuse a name that is not known. Raises UnknownName."""
    if name not in known:
        raise UnknownName(what, name, known, advice)


def _first_point(plan: StudyPlan) -> dict[str, Any]:
    """The point of the search space with the first end of each range."""
    return {name: spaces.ends(distribution)[0] for name, distribution in plan.space.items()}


def _neighbours(plan: StudyPlan, point: Mapping[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """The points that have one other end than `point`: the hyperparameter, its value, and the point."""
    for name, distribution in plan.space.items():
        for value in spaces.ends(distribution):
            if value is not point[name]:
                yield name, value, {**point, name: value}


def _points(plan: StudyPlan) -> Iterator[dict[str, Any]]:
    """Points that show what a trainer refuses: the first, each other end with the first ones, then each two other ends."""
    first = _first_point(plan)
    others = [(name, value) for name, value, _ in _neighbours(plan, first)]
    yield first
    yield from ({**first, name: value} for name, value in others)
    for (name, value), (second, other) in itertools.combinations(others, 2):
        if name != second:
            yield {**first, name: value, second: other}


def _refusal(trainer: Trainer, plan: StudyPlan, point: Mapping[str, Any]) -> str:
    """Why a trainer does not accept a point of the plan's space, or ""."""
    try:
        complete(trainer.hyperparameters, {**plan.recipe.params, **point})
    except InvalidInput as error:
        return str(error)
    return ""


def _to_blame(trainer: Trainer, plan: StudyPlan, point: Mapping[str, Any], refusal: str) -> str:
    """What of a plan a trainer refuses at a point: its recipe, one range, or values that do not go together."""
    if _refusal(trainer, plan, {}) == refusal:
        return "its trainer refuses the recipe"
    culprits = {name for name, _, moved in _neighbours(plan, point) if not _refusal(trainer, plan, moved)}
    if not culprits:  # several ranges hold such values: the message is of one of them
        culprits = {name for name, value in point.items() if _refusal(trainer, plan, {name: value}) == refusal}
    if len(culprits) == 1:
        return f"the range of {culprits.pop()} holds what its trainer refuses"
    together = ", ".join(f"{name} {short(value)}" for name, value in point.items() if name in culprits or not culprits)
    return f"its trainer refuses {together}"


def _kinds_of_runs(plan: StudyPlan) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Runs that differ in whether they can be trained: what they are ("" for trials), point, number of epochs."""
    lengths = {plan.retrain_epochs: "its retrains", plan.confirm_epochs: "its confirmations", plan.epochs: ""}
    first = _first_point(plan)
    for point in (first, *(moved for _, _, moved in _neighbours(plan, first))):
        for epochs in sorted(lengths, key=lambda epochs: (lengths[epochs], epochs)):
            yield lengths[epochs], point, epochs
