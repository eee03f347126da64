"""Defaults of options for a working directory: variables, orchestrate.toml, and [tool.orchestrate] in its pyproject.toml.

docs/variables.md says what can be set, and which of several counts. Files are read whenever they are asked for, so a process that
lives on, such as a notebook's, uses them as they are then. No message quotes a value: it may hold a password.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, final

from orchestrator.errors import BadSettings
from orchestrator.support.disk_lookups import content
from orchestrator.support.names import is_text
from orchestrator.support.secrets import hide_passwords
from orchestrator.support.serialization import shortened

T = TypeVar("T")

OWN_FILE = Path("orchestrate.toml")
PROJECT_FILE = Path("pyproject.toml")
_PREFIX = "ORCHESTRATE_"  # of our variables
_SECTION = ("tool", "orchestrate")  # in PROJECT_FILE

DEFAULT_PROJECT = "sp25-ds542-challenge"  # in W&B: that of the challenge's starter
# Of W&B's own variables those that say what ours do.
_PROJECT_OF_WANDB = ("WANDB_PROJECT",)
_TAGS_OF_WANDB = ("WANDB_TAGS", "WANDB_RUN_TAGS")
# Characters, and what none of them may be: W&B's own rules, which it would apply in the middle of a study.
_LONGEST_PROJECT, _NOT_IN_PROJECT = 128, "/\\#?%:"
_LONGEST_TAG = 64


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(Generic[T]):
    """A default, and where it comes from: the name of a variable or of a file."""

    value: T
    source: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WandbDefaults:
    """What our settings say of the runs in W&B: project "" and tags None leave it to W&B's own settings."""

    project: str = ""
    tags: tuple[str, ...] | None = None


def find(key: str) -> Setting[Any] | None:
    """The default of one of the `KEYS`: that of its variable, or else of a file. None where there is none.

    A folder is a Path, the tags are a tuple, others are texts. Raises BadSettings or DiskError.
    """
    return in_variable(key) or in_files(key)


def in_variable(key: str) -> Setting[Any] | None:
    """The same of its variable alone; an empty variable is as good as none. Raises BadSettings."""
    variable = VARIABLES[key]
    text = os.environ.get(variable, "")
    if not text:
        return None
    if not is_text(text):
        raise BadSettings(f"{variable} is not text in UTF-8")
    given = [tag.strip() for tag in text.split(",") if tag.strip()] if key == "wandb-tags" else text
    try:
        return Setting(value=KEYS[key](given, Path()), source=variable)
    except ValueError as error:
        raise BadSettings(f"{variable} {error}") from None


def in_files(key: str) -> Setting[Any] | None:
    """The same of the files alone; orchestrate.toml comes first. Raises BadSettings or DiskError, whichever key is wrong."""
    found = None
    for file, section in ((PROJECT_FILE, _SECTION), (OWN_FILE, ())):
        settings = _in_file(file, section)
        found = Setting(value=settings[key], source=str(file)) if key in settings else found
    return found


def notes() -> list[str]:
    """What a user should know: which file counts where both set a key, and a variable whose name is nearly one of ours.

    Raises BadSettings or DiskError for what is wrong in them, whether it is needed or not.
    """
    own, of_project = _in_file(OWN_FILE, ()), _in_file(PROJECT_FILE, _SECTION)
    both = [key for key in own if key in of_project]
    found = [f"note: {OWN_FILE} and {PROJECT_FILE} both set {', '.join(both)}; {OWN_FILE} counts"] if both else []
    for name in sorted(name for name in os.environ if name.startswith(_PREFIX) and name not in VARIABLES.values()):
        known = [variable.removeprefix(_PREFIX) for variable in VARIABLES.values()]
        if near := difflib.get_close_matches(name.removeprefix(_PREFIX), known, 1):  # others may have variables of such names
            found.append(f"note: the variable {name} does nothing; did you mean {_PREFIX}{near[0]}?")
    return found


def wandb_defaults() -> WandbDefaults:
    """The project and the tags of the runs in W&B, as far as our settings decide them.

    A variable comes before a file, also one of W&B's own, and ours before W&B's. Raises BadSettings or DiskError.
    """
    project, tags = _before_wandb("wandb-project", _PROJECT_OF_WANDB), _before_wandb("wandb-tags", _TAGS_OF_WANDB)
    return WandbDefaults(project=project.value if project else "", tags=tags.value if tags else None)


def wandb_in_words() -> str:
    """The project and the tags of the runs in W&B, and where they come from. Raises BadSettings or DiskError."""
    project = _in_words("wandb-project", _PROJECT_OF_WANDB) or f"that of W&B's settings, else {DEFAULT_PROJECT}"
    tags = _in_words("wandb-tags", _TAGS_OF_WANDB)
    return f"project: {project}; tags: {tags}" if tags else f"project: {project}"


def _in_words(key: str, variables: tuple[str, ...]) -> str:
    if found := _before_wandb(key, variables):
        return f"{', '.join(found.value) or 'none' if key == 'wandb-tags' else found.value}, from {found.source}"
    return next((f"{os.environ[variable]}, from {variable}" for variable in variables if os.environ.get(variable)), "")


def _before_wandb(key: str, variables: tuple[str, ...]) -> Setting[Any] | None:
    in_file = in_files(key)  # read in any case: what is wrong in a file is said whatever a variable says
    return in_variable(key) or (None if any(os.environ.get(variable) for variable in variables) else in_file)


def _in_file(file: Path, section: tuple[str, ...]) -> dict[str, Any]:
    """Key -> value, of a file's section, all of it checked; nothing where there is no file or no section."""
    found = content(file)
    if found is None or (section and section[-1].encode() not in found):  # a file that does not concern us may be as it likes
        return {}
    try:
        text = found.decode("utf-8-sig")
        table: Any = tomllib.loads(text)
    except UnicodeDecodeError:
        raise BadSettings(f"{file} cannot be read: it is not text in UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise BadSettings(f"{file} is no TOML: {hide_passwords(shortened(error))}") from None
    for name in section:
        table = table.get(name, {}) if isinstance(table, dict) else table
    if not isinstance(table, dict):
        raise BadSettings(f'[{".".join(section)}] in {file} must be a table, as in: runs = "FOLDER"')
    return _checked(file, text, table)


def _checked(file: Path, text: str, table: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for written, value in table.items():
        key, place = written.replace("_", "-"), _place(file, text, written)
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, 1)
            known = f"did you mean {near[0]}? Known: {', '.join(KEYS)}" if near else f"known: {', '.join(KEYS)}"
            raise BadSettings(f"{place}: unknown setting {hide_passwords(shortened(written))!r}; {known}")
        if key in found:
            raise BadSettings(f"{place}: {key} is given twice")
        try:
            found[key] = KEYS[key](value, file.parent)
        except ValueError as error:
            raise BadSettings(f"{place}: {key} {error}") from None
    return found


def _place(file: Path, text: str, key: str) -> str:
    """The file, and the line of a key, or of the header of its table, where it is found."""
    section = re.compile(r"\s*\[?\s*tool\s*\.\s*[\"']?orchestrate\b")
    named = re.compile(rf"\s*\[*(?:[\w.\s\"'-]*\.)?\s*[\"']?{re.escape(key)}[\"']?\s*[=.\]]")
    inside = file == OWN_FILE
    for number, line in enumerate(text.splitlines(), 1):
        inside = inside or section.match(line) is not None
        if inside and named.match(line):
            return f"{file}, line {number}"
    return str(file)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text in quotes, and is {_KINDS.get(type(value), 'something else')}")  # noqa: TRY004
    if not value.strip() or "\0" in value:
        raise ValueError("must not be empty" if not value.strip() else "must not hold a zero character")
    return value


def _folder(value: object, beside: Path) -> Path:
    """The folder, with `~` for the home folder; a relative one is beside the file."""
    try:
        return beside / Path(_text(value)).expanduser()
    except RuntimeError as error:
        raise ValueError(f"cannot be found: {error}") from None


def _url(value: object, beside: Path) -> str:  # noqa: ARG001 - a relative SQLite path is from the working directory, which is there
    return _text(value)


def _project(value: object, beside: Path) -> str:  # noqa: ARG001 - a name, not a place
    name = _text(value)
    if len(name) > _LONGEST_PROJECT or not name.isprintable() or set(_NOT_IN_PROJECT) & set(name):
        raise ValueError(f"must be at most {_LONGEST_PROJECT} characters, none of them one of {' '.join(_NOT_IN_PROJECT)}")
    return name


def _tags(value: object, beside: Path) -> tuple[str, ...]:  # noqa: ARG001 - names, not places
    if not isinstance(value, list) or not all(isinstance(tag, str) and tag.strip() and tag.isprintable() for tag in value):
        raise ValueError('must be a list of texts, as in ["baseline", "digits"]')
    if any(len(tag) > _LONGEST_TAG for tag in value):
        raise ValueError(f"must be tags of at most {_LONGEST_TAG} characters")
    return tuple(dict.fromkeys(value))


_KINDS: Mapping[type, str] = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a table"}

# What can be set -> what makes it the default: the value as it was written, and the folder that relative paths begin in.
KEYS: Mapping[str, Callable[[Any, Path], Any]] = {
    "runs": _folder,
    "data-dir": _folder,
    "storage": _url,
    "wandb-project": _project,
    "wandb-tags": _tags,
}
VARIABLES: Mapping[str, str] = {
    "runs": "ORCHESTRATE_RUNS",
    "data-dir": "ORCHESTRATE_DATA_DIR",
    "storage": "ORCHESTRATE_STORAGE",
    "wandb-project": "ORCHESTRATE_WANDB_PROJECT",
    "wandb-tags": "ORCHESTRATE_WANDB_TAGS",
}
