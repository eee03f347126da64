"""Commands as hints print them: quoted for a shell, with every folder and name that they would not find by themselves."""

import contextlib
from pathlib import Path

from orchestrator.errors import BadSettings, DiskError
from orchestrator.storage.remembered_folders import last_runs_folder, new_runs_folder
from orchestrator.storage.study_file import Search, StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support import shell_words

# They do not take the runs folder that was used before in the working directory.
_BEGIN = ("study", "train")


def command(runs: Path, *words: str) -> str:
    """The command `orchestrate WORDS` for the runs folder `runs`, to be typed in this working directory."""
    where = [] if _finds(words[0], runs) else ["--runs", str(runs)]
    return shell_words.command(*words, *where)


def study_command(folder: StudyFolder, *words: str) -> str:
    """The command `orchestrate WORDS` for the study in `folder`, which the words name."""
    return command(folder.path.parent, *words)


def resume_command(folder: StudyFolder, search: Search, *, trials: int | None = None) -> str:
    """The command that goes on with a study, and extends it to so many `trials` where a number is given."""
    plan = f"./{search.plan}" if search.plan.startswith("-") else search.plan  # else it would be taken for an option
    begins = Path(plan).stem if plan.endswith(".py") else plan  # the study that the plan's name alone stands for
    named = [] if begins == folder.name else ["--study", folder.name]
    more = [] if trials is None else ["--trials", str(trials)]
    return _with_password(search, study_command(folder, "study", plan, *named, *more))


def mirror_command(folder: StudyFolder, study: StudyFile) -> str:
    """The command that completes the copies of a study."""
    typed = study_command(folder, "mirror", folder.name)
    return typed if study.search is None else _with_password(study.search, typed)


def _with_password(search: Search, typed: str) -> str:
    """The command, with a place for the database's URL where that has a password, which is nowhere written."""
    return f"ORCHESTRATE_STORAGE=URL {typed}" if "***" in search.storage else typed


def _finds(name: str, runs: Path) -> bool:
    """Whether a command that is typed here takes this runs folder by itself; in doubt it does not.

    A folder that only is the last one in use counts for nothing: another study may come before the command is typed.
    """
    defaults: list[Path] = []
    with contextlib.suppress(DiskError, BadSettings):
        defaults = [new_runs_folder(None), *([] if name in _BEGIN else [last_runs_folder(None)])]
    return bool(defaults) and all(default.absolute() == runs.absolute() for default in defaults)
