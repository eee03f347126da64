"""Recipes by name: of a reference system, of a plan, or from a file such as `orchestrate recipe RUN` prints."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator import plugins
from orchestrator.contracts import ReferenceSystem, StudyPlan
from orchestrator.errors import BadData, InvalidInput, MissingInput, UnknownName
from orchestrator.plugin_errors import blame_plugin
from orchestrator.recipe import Recipe
from orchestrator.support.disk_lookups import content, is_folder
from orchestrator.support.names import NAME
from orchestrator.support.serialization import from_plain, parse
from orchestrator.support.shell_words import quoted

_ENDING = ".json"
_FIELDS = {field.name: field for field in dataclasses.fields(Recipe)}
_REQUIRED = [
    name
    for name, field in _FIELDS.items()
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
]


def find_recipe(
    name: str,
    *,
    epochs: int | None = None,
    seed: int | None = None,
    dataset: str | None = None,
    skip_damaged: bool = False,
    data_folder: Path = Path("data"),
) -> Recipe:
    """The recipe of a reference system ("001-P1", or its name), of a plan ("part2", FILE.py), or in a FILE.json.

    A plan's is that of its first reference setting that fits, or else of the middle of its ranges. `epochs`, `seed` and `dataset`
    replace the recipe's own; a reference system's recipe is scaled to other epochs. `skip_damaged` leaves damaged image files out
    of the data set. What is known of the data set is looked up in `data_folder`.
    Raises UnknownName, InvalidInput, MissingInput or BadData; hyperparameters are not looked at, which takes the trainer.
    """
    if name.endswith(_ENDING):
        found = read_recipe(_path(name))
    elif (system := plugins.reference_system(name)) is not None:
        found = system.recipe(epochs)
    elif name.endswith(".py") or name in plugins.names("plan"):
        found = _of_plan(name, lambda own: _data_set(own if dataset is None else dataset, skip_damaged=skip_damaged), data_folder)
    else:
        references = (word for system in plugins.reference_systems() for word in (system.name, system.system))
        known = [*plugins.names("plan"), *references]
        raise UnknownName("recipe", name, known, "or give a file FILE.json")
    return replace(
        found,
        epochs=found.epochs if epochs is None else epochs,
        seed=found.seed if seed is None else seed,
        dataset=_data_set(found.dataset if dataset is None else dataset, skip_damaged=skip_damaged),
    )


def _path(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise InvalidInput(f"{name}: {error}") from error


def read_recipe(file: Path) -> Recipe:
    """The recipe in a file. Raises MissingInput, or BadData with the first thing that is wrong."""
    if is_folder(file):
        raise BadData(f"{file} cannot be read: it is a folder")
    found = content(file)
    if found is None:
        raise MissingInput(f"there is no recipe {file}; `orchestrate recipe NAME > {quoted(file)}` makes one to begin with")
    try:
        return _recipe(parse(found))
    except BadData as error:
        raise BadData(f"{file}: {error}") from error


def _recipe(plain: object) -> Recipe:
    """The recipe that plain data describes. Raises BadData."""
    fields = f"a recipe has {', '.join(_FIELDS)}"
    if not isinstance(plain, dict):
        raise BadData(f"this is no recipe, but a {type(plain).__name__}; {fields}")
    for name in plain:
        if name not in _FIELDS:
            raise BadData(f"there is no {name!r}; {fields}")
    for name in _REQUIRED:
        if name not in plain:
            raise BadData(f"{name!r} is missing; {fields}")
    recipe = from_plain(Recipe, plain)
    if not NAME.fullmatch(recipe.plan):
        raise BadData("'plan' is in the run's name, so it has 1 to 64 letters, digits, '.', '_' or '-'")
    return recipe


def reference_of(recipe: Recipe, complete: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> ReferenceSystem | None:
    """The reference system that a complete recipe repeats, on whatever data and from whatever seed; None where it is another.

    `complete` fills in the trainer's defaults.
    """
    system = plugins.reference_system(recipe.plan)
    if system is None:
        return None
    own = system.recipe(recipe.epochs)
    own = replace(own, dataset=recipe.dataset, split=recipe.split, params=complete(own.params))
    return system if own.configuration() == recipe.configuration() else None


def _data_set(name: str, *, skip_damaged: bool) -> str:
    return plugins.dataset_skipping_damaged(name) if skip_damaged else plugins.settled_dataset(name)


def _of_plan(name: str, choose: Callable[[str], str], data_folder: Path) -> Recipe:
    # Here, because it imports Optuna.
    from orchestrator.search.written_values import any_choices
    from orchestrator.sessions.check_plan import checked_plan

    with blame_plugin(f"plan {name!r}"), any_choices():
        known_as, own_dataset, make_plan = plugins.plan(name)
    chosen = choose(own_dataset)
    info = plugins.dataset(chosen).info(data_folder)
    with blame_plugin(f"plan {name!r}"), any_choices():
        plan = checked_plan(make_plan(chosen, info), known_as, chosen)
    return typical_recipe(plan)


def typical_recipe(plan: StudyPlan) -> Recipe:
    """The recipe of a plan's first reference setting that fits, or else of the middle of its ranges."""
    from orchestrator.search.optuna_study import fitting
    from orchestrator.search.spaces import middle

    point = next((baseline.params for baseline in fitting(plan)), None) or middle(plan.space)
    return replace(plan.recipe, epochs=plan.epochs, params={**plan.recipe.params, **point})
