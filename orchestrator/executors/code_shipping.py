"""The code that workers on other machines need, gathered in one folder: ours, and the user's plug-ins beside it.

Never more than that: neither runs nor data, no checkout and no environment.
"""

import shutil
from pathlib import Path

import orchestrator
from orchestrator.support.disk_lookups import is_folder

PLUGINS = "below"  # stands for the working directory, below which plug-ins are found
_OURS = ("orchestrator", "trainers", "search_spaces", "reports")
_THEIRS = ("trainers", "search_spaces", "reports")
_NOT_CODE = shutil.ignore_patterns("__pycache__", ".*")


def gather(folder: Path) -> None:
    """Copy our packages into `folder`, and the plug-in folders of the working directory into `folder`/below. Raises OSError."""
    # Not what their names import here: `python -m` from a folder of plug-ins finds that folder first.
    installed = Path(orchestrator.__file__).parent.parent
    for package in _OURS:
        shutil.copytree(installed / package, folder / package, ignore=_NOT_CODE)
    plugins = folder / PLUGINS
    plugins.mkdir()
    (plugins / "README").write_text("plug-ins, if there are any\n")  # a folder without a file would not travel
    for package in _THEIRS:
        own = Path.cwd() / package
        if is_folder(own) and own.resolve() != (installed / package).resolve():
            shutil.copytree(own, plugins / package, ignore=_NOT_CODE)
