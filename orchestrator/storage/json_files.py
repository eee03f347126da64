"""The JSON files of a runs folder: replaced atomically, and read as the dataclass that they hold."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import BadData, MissingInput
from orchestrator.support.atomic_files import replace
from orchestrator.support.disk_lookups import content
from orchestrator.support.serialization import from_plain, parse, to_plain

T = TypeVar("T")


def write_json(path: Path, value: object) -> None:
    """Replace the file by the dataclass `value`, indented for people. Raises OSError."""
    replace(path, (json.dumps(to_plain(value), indent=1, ensure_ascii=False) + "\n").encode())


def read_json_as(kind: type[T], path: Path, *, upgrade: Callable[[Any], Any] = lambda plain: plain) -> T:
    """The content of a JSON file as the dataclass `kind`, after `upgrade` has made it plain content of this version.

    Raises MissingInput, BadData or DiskError.
    """
    found = content(path)
    if found is None:
        raise MissingInput(f"there is no {path}")
    try:
        return from_plain(kind, upgrade(parse(found)))
    except BadData as error:
        raise BadData(f"{path} is damaged ({error}); restore it from a backup, or move {path.parent} away") from error
