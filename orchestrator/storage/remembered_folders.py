"""Which folders a command uses that is given none: those of the settings, or those that a user gave before.

A study remembers its data folder, and a working directory the last runs folder. What is remembered of a study comes before a
settings file, which speaks of all studies; what is remembered of a working directory comes after it, as the file was written.

The runs folder of a working directory is kept in the user's state folder. An error of that file is ignored. One of the folder
that it names is not: another runs folder in its place would mean other studies.
"""

import contextlib
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import BadData, DiskError
from orchestrator.storage import settings
from orchestrator.storage.study_file import StudyFile
from orchestrator.support.disk_lookups import content, is_folder
from orchestrator.support.names import is_text
from orchestrator.support.serialization import parse, shortened

DEFAULT_RUNS = Path("runs")
DEFAULT_DATA = Path("data")

_MISSING = (
    "warning: the data folder {folder} of study {study} is not on this machine; using {default}. Give another with --data-dir"
)
_IGNORED = (OSError, ValueError, TypeError, RuntimeError, BadData, DiskError)


def new_runs_folder(given: Path | None) -> Path:
    """The runs folder of a command that begins studies. Raises BadSettings or DiskError."""
    if given is not None:
        return given
    found = settings.find("runs")
    return Path(found.value) if found is not None else DEFAULT_RUNS


def last_runs_folder(given: Path | None, say: Callable[[str], None] | None = None) -> Path:
    """The runs folder of a command on studies that exist. One that is remembered is told to `say`.

    Raises BadSettings, or DiskError where it cannot be told.
    """
    if given is not None:
        return given
    if (found := settings.find("runs")) is not None:
        return Path(found.value)
    remembered = remembered_runs_folder()
    if remembered is None:
        return DEFAULT_RUNS
    if say is not None:
        say(f"using the runs folder {remembered}, as the last study here did")
    return remembered


def data_folder_of(study: StudyFile | None, given: Path | None, say: Callable[[str], None] | None = None) -> Path:
    """The data folder of a command on `study`: the one that was given, or that the study records, or the default.

    A recorded folder that is not on this machine is not used, and reported to `say`. Raises BadSettings, or DiskError where that
    is unknown.
    """
    if given is not None:
        return given
    if study is not None and study.data_folder and _is_folder_here(study.data_folder):
        return Path(study.data_folder)
    found = settings.in_files("data-dir")  # a variable counts as given
    default = Path(found.value) if found is not None else DEFAULT_DATA
    if study is not None and study.data_folder and say is not None:
        say(_MISSING.format(folder=_shown(study.data_folder), study=study.name, default=default))
    return default


def recorded(data_folder: Path | None) -> str:
    """What study.json says of a data folder that was given: its absolute path; "" for none, and for one that is not text."""
    text = str(data_folder.absolute()) if data_folder is not None else ""
    return text if is_text(text) else ""


def remember_runs_folder(runs: Path) -> None:
    """Make `runs` the default of later commands in this working directory; the usual default is forgotten instead."""
    with contextlib.suppress(*_IGNORED):
        here = Path.cwd()
        folders = _folders()
        known = {directory: folder for directory, folder in folders.items() if not _is_gone(directory)}
        known.pop(str(here), None)
        if runs.absolute() != here / DEFAULT_RUNS:
            known[str(here)] = str(runs.absolute())
        if known != folders:
            _write(json.dumps(known, indent=1) + "\n")


def remembered_runs_folder() -> Path | None:
    """The runs folder that was used here last, if it is another than the default and still exists.

    Raises DiskError where that cannot be told.
    """
    folder = ""
    with contextlib.suppress(*_IGNORED):
        folder = _folders().get(str(Path.cwd()), "")
    try:
        return Path(folder) if folder and _is_folder_here(folder) else None
    except DiskError as error:
        raise DiskError(f"{error}; it is the runs folder of the last study here. Give another with --runs") from error


def _is_folder_here(folder: str) -> bool:
    """Whether this is the absolute path of a folder on this machine. Raises DiskError where that cannot be told."""
    try:
        return Path(folder).is_absolute() and is_folder(Path(folder))
    except ValueError:  # no path can hold a zero byte
        return False
    except DiskError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENAMETOOLONG:
            return False
        raise


def _is_gone(folder: str) -> bool:
    """Whether there is no such folder any more; in doubt there is."""
    try:
        return not _is_folder_here(folder)
    except DiskError:
        return False


def _shown(folder: str) -> str:
    """The text of a file that others may have written, without what a terminal would obey."""
    return shortened(folder if folder.isprintable() else repr(folder))


def _file() -> Path:
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"  # noqa: PTH117 - "" is not absolute
    return base / "orchestrate" / "runs-folders.json"


def _folders() -> dict[str, str]:
    """Working directory -> runs folder, both absolute. Raises one of `_IGNORED`."""
    found = content(_file())
    folders = parse(found) if found is not None else {}
    if not isinstance(folders, dict):
        return {}
    return {directory: folder for directory, folder in folders.items() if isinstance(folder, str)}


def _write(text: str) -> None:
    """Atomically, so that a command that reads at the same time sees the old or the new content."""
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)
