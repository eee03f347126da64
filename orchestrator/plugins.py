"""The file name is the registration: finds plans, trainers, data sets and reports by the names of their files.

`trainers/resnet.py` is the trainer `resnet`. A leading underscore, or a subfolder, marks a helper. The same folders below the
working directory are searched first, so a user adds one file and edits nothing else; a file there hides ours of that name.
"""

import contextlib
import importlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from orchestrator.contracts import Capabilities, Data, DataSet, DataSetFamily, DataSetNames, Plan, Report, Trainer, Training
from orchestrator.errors import BadData, InvalidInput, MissingInput, OrchestrateError, UnknownName
from orchestrator.recipe import Recipe

# kind of plug-in, in a user's words -> the package that holds it
PACKAGES = {
    "plan": "search_spaces",
    "trainer": "trainers",
    "data set": "trainers.datasets",
    "report": "reports",
}


def names(what: str) -> list[str]:
    """The names of all plug-ins of one kind, in alphabetical order."""
    folders = _package(PACKAGES[what]).__path__
    return sorted({file.stem for folder in folders for file in Path(folder).glob("[!_]*.py") if file.stem.isidentifier()})


def plan(name_or_file: str) -> tuple[str, str, Plan]:
    """A plan's name, the data set that it is made for, and the plan, by its name or from a file."""
    if name_or_file.endswith(".py"):
        file = Path(name_or_file)
        if not file.is_file():
            raise MissingInput(f"there is no plan file {name_or_file}")
        name, module = file.stem, _load_file(file)
    else:
        name, module = name_or_file, _load("plan", name_or_file)
    return name, str(_attribute(module, "DATASET")), cast(Plan, _attribute(module, "plan"))


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
    found = cast(DataSet, _attribute(module, "dataset")) if family is None else family.member(argument)
    _require(found, "names", DataSetNames, f"data set {name!r}: its class")
    return found


def settled_dataset(name: str) -> str:
    """The name as recipes keep it, which means the same from every working directory. Raises as `dataset` does."""
    _, family, argument = _dataset(name)
    return name if family is None else f"{name.partition(':')[0]}:{family.settled(argument)}"


def dataset_label(name: str) -> str:
    """A short name for the data set, of what a study's name may be made of. Raises as `dataset` does."""
    _, family, argument = _dataset(name)
    return name if family is None else family.label(argument)


def report(name: str) -> Report:
    """The report of this name, a pure function of the frames. Imports pandas."""
    return cast(Report, _attribute(_load("report", name), "report"))


@contextlib.contextmanager
def blaming(what: str) -> Iterator[None]:
    """Plans and trainers are a user's own code, which may raise anything: one message with the place in it, as BadData."""
    try:
        yield
    except OrchestrateError:
        raise
    except (Exception, SystemExit) as error:
        ours = str(Path(__file__).parent)
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [
            frame for frame in frames if not frame.filename.startswith((ours, "<")) and "site-packages" not in frame.filename
        ]
        place = f" ({theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""
        raise BadData(f"{what} cannot be used: {type(error).__name__}: {error}{place}") from error


def _package(package: str) -> ModuleType:
    """The package, with the folder of the same name below the working directory put first in its search path."""
    module = importlib.import_module(package)
    own = Path.cwd().joinpath(*package.split("."))
    if own.is_dir() and not any(Path(folder).resolve() == own.resolve() for folder in module.__path__):
        module.__path__.insert(0, str(own))
        importlib.invalidate_caches()
    return module


def _load(what: str, name: str) -> ModuleType:
    known = names(what)
    if name not in known:
        raise UnknownName(what, name, known)
    with blaming(f"{what} {name!r}"):
        return importlib.import_module(f"{PACKAGES[what]}.{name}")


def _dataset(name: str) -> tuple[ModuleType, DataSetFamily | None, str]:
    """The module of a data set, the family in it if it holds one, and the argument for that."""
    kind, colon, argument = name.partition(":")
    module = _load("data set", kind)
    family = cast(DataSetFamily | None, getattr(module, "family", None))
    if family is not None and not argument:
        raise InvalidInput(f"the data set {kind!r} needs to be told which: {kind}:{family.argument}")
    if family is None and colon:
        raise InvalidInput(f"the data set {kind!r} is a single one: nothing can stand behind it, as in {name!r}")
    return module, family, argument


def _load_file(file: Path) -> ModuleType:
    """Run the file as it is now: no bytecode is left beside it, or believed."""
    module = ModuleType(f"plan_file_{file.stem}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module
    with blaming(str(file)):
        exec(compile(file.read_bytes(), file, "exec"), module.__dict__)
    return module


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
