"""Our packages have general names. Whatever else is called like them where Python looks first, ours are imported.

What comes first is PYTHONPATH, and the working directory for `python -m`. `orchestrator.plugins` adds the user's plug-ins.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import final

from orchestrator.errors import BadData

NAMES = ("trainers", "search_spaces", "reports")
# Beside this package: site-packages, a checkout, or what a worker on another machine was sent.
_HERE = str(Path(__file__).parent.parent)

# Libraries that this program cannot do without, under the names by which they are imported.
_LIBRARIES = {
    "PIL",
    "click",
    "numpy",
    "optuna",
    "pandas",
    "psycopg",
    "ray",
    "rich",
    "sklearn",
    "sqlalchemy",
    "torch",
    "torchvision",
}

_CURE = "rename it, or take its folder out of PYTHONPATH"


@final
class _OwnPackages:
    """Finds the packages `NAMES` beside this one, and nothing else."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG004 - of the protocol
        return PathFinder.find_spec(name, [_HERE]) if path is None and name in NAMES else None


def install() -> None:
    """Look here first, in this process."""
    if _OwnPackages not in sys.meta_path:
        sys.meta_path.insert(0, _OwnPackages)


def check() -> None:
    """Refuse to work with a file that was imported as one of our packages before ours could be found. Raises BadData."""
    for name in NAMES:
        module = sys.modules.get(name)
        file = str(getattr(module, "__file__", None) or name)
        if module is not None and Path(_HERE) not in Path(file).parents:
            raise BadData(f"{file} was imported in the place of a package of ours; {_CURE}")


@contextlib.contextmanager
def blame_hidden_library() -> Iterator[None]:
    """Name the file that was imported in the place of a library, where that fails. Raises BadData."""
    try:
        yield
    except (ImportError, AttributeError) as error:
        if hidden := _hidden_library():
            raise BadData(hidden) from error
        raise


def _hidden_library() -> str:
    """What to tell a user whose file on PYTHONPATH was imported as a library, or as a part of Python; "" where none was."""
    folders = [Path(folder).absolute() for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and (name in _LIBRARIES or name in sys.stdlib_module_names):
            place = Path(file).parent.parent if Path(file).stem == "__init__" else Path(file).parent
            if place in folders:
                return f"{file} hides the library of that name; {_CURE}"
    return ""
