"""Folders that a user gave before, as defaults of later commands: of data for a study, of runs for a working directory.

The runs folder of a working directory is kept in the user's state folder. Nothing depends on it: any error in it is ignored.
"""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import BadData
from orchestrator.storage.study_file import StudyFile
from orchestrator.support.serialization import parse, shortened

DEFAULT_RUNS = Path("runs")
DEFAULT_DATA = Path("data")

_MISSING = (
    "warning: the data folder {folder} of study {study} is not on this machine; using {default}. Give another with --data-dir"
)
_IGNORED = (OSError, ValueError, TypeError, RuntimeError, BadData)


def data_folder_of(study: StudyFile | None, given: Path | None, say: Callable[[str], None] | None = None) -> Path:
    """The data folder of a command on `study`: the one that was given, or that the study records, or the default.

    A recorded folder that is not on this machine is not used, and reported to `say`.
    """
    if given is not None:
        return given
    if study is None or not study.data_folder:
        return DEFAULT_DATA
    if os.path.isabs(study.data_folder) and os.path.isdir(study.data_folder):  # noqa: PTH112, PTH117 - these raise nothing
        return Path(study.data_folder)
    if say is not None:
        say(_MISSING.format(folder=_shown(study.data_folder), study=study.name, default=DEFAULT_DATA))
    return DEFAULT_DATA


def recorded(data_folder: Path | None) -> str:
    """What study.json says of a data folder that was given: its absolute path; "" for none, and for one that is not text."""
    text = str(data_folder.absolute()) if data_folder is not None else ""
    return text if text.isprintable() else ""


def remember_runs_folder(runs: Path) -> None:
    """Make `runs` the default of later commands in this working directory; the usual default is forgotten instead."""
    with contextlib.suppress(*_IGNORED):
        here = Path.cwd()
        folders = _folders() if _file().exists() else {}
        known = {directory: folder for directory, folder in folders.items() if os.path.isdir(directory)}  # noqa: PTH112
        known.pop(str(here), None)
        if runs.absolute() != here / DEFAULT_RUNS:
            known[str(here)] = str(runs.absolute())
        if known != folders:
            _write(json.dumps(known, indent=1) + "\n")


def remembered_runs_folder() -> Path | None:
    """The runs folder that was used here last, if it is another than the default and still exists."""
    with contextlib.suppress(*_IGNORED):
        folder = _folders().get(str(Path.cwd()), "")
        if folder and os.path.isdir(folder):  # noqa: PTH112 - raises nothing
            return Path(folder)
    return None


def _shown(folder: str) -> str:
    """The text of a file that others may have written, without what a terminal would obey."""
    return shortened(folder if folder.isprintable() else repr(folder))


def _file() -> Path:
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"  # noqa: PTH117 - "" is not absolute
    return base / "orchestrate" / "runs-folders.json"


def _folders() -> dict[str, str]:
    """Working directory -> runs folder, both absolute. Raises one of `_IGNORED`."""
    content = parse(_file().read_bytes())
    if not isinstance(content, dict):
        return {}
    return {directory: folder for directory, folder in content.items() if isinstance(folder, str)}


def _write(text: str) -> None:
    """Atomically, so that a command that reads at the same time sees the old or the new content."""
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)
