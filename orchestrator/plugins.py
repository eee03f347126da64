"""Finds plans, reference systems, trainers, data sets and reports by the names of their files.

`trainers/resnet.py` is the trainer `resnet`. A file with a leading underscore, or in a subfolder, is not a plug-in. The same
folders below the working directory are searched first, so a user adds one file; it hides a shipped one of the same name.
"""

import importlib
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, cast

from orchestrator import own_packages
from orchestrator.checked_data import CheckedDataSet
from orchestrator.contracts import (
    Capabilities,
    Data,
    DataSet,
    DataSetFamily,
    DataSetInfo,
    DataSetNames,
    Plan,
    ReferenceSystem,
    Report,
    Trainer,
    Training,
)
from orchestrator.errors import BadData, InvalidInput, MissingInput, UnknownName
from orchestrator.plugin_errors import blame_plugin
from orchestrator.recipe import Recipe
from orchestrator.support.disk_lookups import is_file, is_folder, names_in
from orchestrator.support.names import NAME, composed

# kind of plug-in -> its package
PACKAGES = {
    "plan": "search_spaces",
    "reference system": "search_spaces.reference_systems",
    "trainer": "trainers",
    "data set": "trainers.datasets",
    "report": "reports",
}


def names(what: str) -> list[str]:
    """The names of all plug-ins in this category, in alphabetical order. Raises DiskError."""
    folders = _package(PACKAGES[what]).__path__
    files = {name for folder in folders for name in names_in(Path(folder)) if name.endswith(".py") and not name.startswith("_")}
    return sorted(stem for name in files if (stem := name.removesuffix(".py")).isidentifier())


def plan(name_or_file: str) -> tuple[str, str, Plan]:
    """Name, default data set and function of a plan, given its name or its file."""
    if name_or_file.endswith(".py"):
        file = Path(name_or_file)
        if not is_file(file):
            raise MissingInput(f"there is no plan file {name_or_file}")
        name, module = file.stem, _load_file(file)
    else:
        name, module = name_or_file, _load("plan", name_or_file)
    return name, str(_attribute(module, "DATASET")), cast(Plan, _attribute(module, "plan"))


def reference_systems() -> tuple[ReferenceSystem, ...]:
    """All reference systems, ordered by `system`. Raises BadData for an invalid one, and for a name that two share."""
    what = "reference system"
    found = [system for name in names(what) for system in _systems(_load(what, name))]
    for word, count in Counter(word for system in found for word in {system.system, system.name}).items():
        if count > 1:
            raise BadData(f"{count} reference systems are named {word!r}; `system` and `name` must be unique, so rename one")
    return tuple(sorted(found, key=lambda system: system.system))


def reference_system(name: str) -> ReferenceSystem | None:
    """The reference system with this `system` or `name`, None where there is none. Raises as `reference_systems`."""
    return next((system for system in reference_systems() if name in (system.system, system.name)), None)


def trainer(name: str) -> Trainer:
    """The trainer of this name. Imports torch."""
    return cast(Trainer, _attribute(_load("trainer", name), "trainer"))


def begin(recipe: Recipe, data: Data, device: str) -> Training:
    """A run of the recipe's trainer at its beginning. Raises BadData for a training without `capabilities`."""
    training = trainer(recipe.trainer).begin(recipe, data, device)
    _require(training, "capabilities", Capabilities, f"trainer {recipe.trainer!r}: its training")
    return training


def dataset(name: str) -> DataSet:
    """The data set of this name, "digits" or "folder:PATH". Imports no torch.

    Raises UnknownName, InvalidInput, or BadData for one without `names`.
    """
    module, family, argument = _dataset(name)
    with blame_plugin(f"data set {name!r}"):
        found = cast(DataSet, _attribute(module, "dataset")) if family is None else family.member(argument)
        _require(found, "names", DataSetNames, f"data set {name!r}: its class")
    return CheckedDataSet(name, found)


def is_own_dataset(name: str) -> bool:
    """Whether the data set is a user's own, and not one that is shipped. Raises as `dataset` does."""
    shipped = Path(__file__).resolve().parent.parent
    return not Path(str(_dataset(name)[0].__file__)).resolve().is_relative_to(shipped.joinpath(*PACKAGES["data set"].split(".")))


def dataset_info(name: str, folder: Path) -> DataSetInfo:
    """Facts about the images of this data set. Raises as `dataset` and its `info` do, and BadData where that fails otherwise."""
    with blame_plugin(f"data set {name!r}"):
        return dataset(name).info(folder)


def settled_dataset(name: str) -> str:
    """The name as recipes keep it, independent of the working directory. Raises as `dataset` does."""
    _, family, argument = _dataset(name)
    if family is None:
        return name
    with blame_plugin(f"data set {name!r}"):
        return f"{name.partition(':')[0]}:{family.settled(argument)}"


def dataset_skipping_damaged(name: str) -> str:
    """The name, as recipes keep it, of the same data set without its damaged files. Raises as `dataset` does."""
    _, family, argument = _dataset(name)
    if family is None or not hasattr(family, "skipping_damaged"):  # a family of the user's own may be older than this
        raise InvalidInput(f"the data set {name!r} has no image files that could be left out: leave out --skip-damaged")
    with blame_plugin(f"data set {name!r}"):
        return f"{name.partition(':')[0]}:{family.skipping_damaged(argument)}"


def dataset_label(name: str) -> str:
    """A short name for the data set, valid as part of a study's name. Raises as `dataset` does."""
    _, family, argument = _dataset(name)
    if family is None:
        return name
    with blame_plugin(f"data set {name!r}"):
        return family.label(argument)


def report(name: str) -> Report:
    """The report of this name. Imports pandas. Raises BadData where it is no function."""
    found = _attribute(_load("report", name), "report")
    if not callable(found):
        raise BadData(f"report {name!r} cannot be used: `report` is a {type(found).__name__} where a function is expected")
    return cast(Report, found)


def forget_own() -> None:
    """Let the user's own plug-ins be read again as they are now.

    For a process that lives on while they are edited, or its working directory changes, as a notebook's does.
    """
    shipped = Path(__file__).resolve().parent.parent

    def is_shipped(place: str, package: str) -> bool:
        return Path(place).resolve().is_relative_to(shipped.joinpath(*package.split(".")))

    for package in PACKAGES.values():
        if package in sys.modules:
            path = sys.modules[package].__path__
            path[:] = [folder for folder in path if is_shipped(folder, package)]
    for name, module in list(sys.modules.items()):
        file, package = getattr(module, "__file__", None), name.partition(".")[0]
        # In a checkout, a user's plans and reports lie beside ours.
        may_be_own = name.rpartition(".")[0] in (PACKAGES["plan"], PACKAGES["report"]) and not hasattr(module, "__path__")
        if package in own_packages.NAMES and file and (may_be_own or not is_shipped(file, package)):
            del sys.modules[name]


def _package(package: str) -> ModuleType:
    """The package; the folder of the same name below the working directory comes first in its search path."""
    own_packages.check()
    module = importlib.import_module(package)
    own = Path.cwd().joinpath(*package.split("."))
    if is_folder(own) and not any(Path(folder).resolve() == own.resolve() for folder in module.__path__):
        module.__path__.insert(0, str(own))
        importlib.invalidate_caches()
    return module


def _load(what: str, name: str) -> ModuleType:
    known = {composed(stem): stem for stem in names(what)}
    stem = known.get(composed(name))
    if stem is None:
        raise UnknownName(what, name, known)
    with blame_plugin(f"{what} {name!r}"):
        return importlib.import_module(f"{PACKAGES[what]}.{stem}")


def _systems(module: ModuleType) -> tuple[ReferenceSystem, ...]:
    with blame_plugin(f"{module.__file__}: SYSTEMS"):
        systems = tuple(_attribute(module, "SYSTEMS"))
        for system in systems:
            if not isinstance(system, ReferenceSystem):
                raise BadData(f"{module.__file__}: SYSTEMS holds a {type(system).__name__}, which is not a ReferenceSystem")
            for word in (system.name, system.system):
                if not isinstance(word, str) or not NAME.fullmatch(word):
                    raise BadData(f"{module.__file__}: the name {word!r} must be 1 to 64 letters, digits, '.', '_' or '-'")
    return systems


def _dataset(name: str) -> tuple[ModuleType, DataSetFamily | None, str]:
    """The module of a data set, its family if it defines one, and the family's argument."""
    kind, colon, argument = name.partition(":")
    module = _load("data set", kind)
    family = cast(DataSetFamily | None, getattr(module, "family", None))
    if family is not None and not argument:
        raise InvalidInput(f"the data set {kind!r} needs an argument: {kind}:{family.argument}")
    if family is None and colon:
        raise InvalidInput(f"the data set {kind!r} takes no argument, but {name!r} has one")
    return module, family, argument


def _load_file(file: Path) -> ModuleType:
    """Run the file as it is now, without reading or writing bytecode."""
    module = ModuleType(f"plan_file_{file.stem}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module
    with blame_plugin(str(file)):
        exec(_compiled(file), module.__dict__)
    return module


def _compiled(file: Path) -> CodeType:
    try:
        return compile(file.read_bytes(), file, "exec")
    except MemoryError as error:  # of Python's parser, which has room for some thousand levels
        raise BadData(f"{file} cannot be used: an expression in it is nested too deeply for Python") from error


def _attribute(module: ModuleType, name: str) -> Any:
    if not hasattr(module, name):
        raise BadData(f"{module.__file__} does not define {name!r}")
    return getattr(module, name)


def _require(plugin: object, name: str, kind: type, what: str) -> None:
    """That a plug-in has a required property: without it a feature would silently be off. Raises BadData."""
    if not isinstance(getattr(plugin, name, None), kind):
        raise BadData(
            f"{what} {type(plugin).__name__} has no property `{name}`. Add one that returns {kind.__module__}.{kind.__name__}; "
            f"{kind.__name__}() if there is nothing to declare"
        )
