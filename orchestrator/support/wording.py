"""Numbers and values as messages write them."""

import itertools
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from orchestrator.errors import BadData
from orchestrator.support.serialization import to_plain

_UNITS = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
_MOST_DAMAGED = 100  # files in a message
_MOST_NAMES = 5  # in a line


def several(count: int, noun: str) -> str:
    """The count with its noun: "1 epoch", "12 epochs"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def short(value: object) -> str:
    """A hyperparameter's value; a float with three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else in_full(value)


def in_full(value: object) -> str:
    """A hyperparameter's value, as a user may write it; lists and mappings as in a recipe file."""
    return json.dumps(to_plain(value), ensure_ascii=False) if isinstance(value, Mapping | list | tuple) else str(value)


def in_bytes(size: float) -> str:
    """A number of bytes with three significant digits: "812 B", "12.3 kB", "44.8 MB", "1.2 GB"."""
    unit = next((each for each in _UNITS if size < 999.5 * _UNITS[each]), "TB")
    return f"{size / _UNITS[unit]:.3g} {unit}"


def moment(seconds: float) -> str:
    """A time since 1970-01-01 UTC as this machine's clock shows it: "2026-11-30 10:12:13"."""
    try:
        return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):  # the last hours of the year 9999, in the east
        return f"{seconds:.0f} s after 1970"


def shown(path: Path | str) -> str:
    """A path as a message may quote it, whatever bytes its name is made of."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def first_of(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(map(shown, names[:_MOST_NAMES])) + more


def listed_damage(damaged: Mapping[str, str]) -> list[str]:
    """Damaged files by their names, each in a line with the reason, which is a sentence without its subject."""
    lines = [f"{shown(name)} {why}" for name, why in itertools.islice(sorted(damaged.items()), _MOST_DAMAGED)]
    more = [f"and {len(damaged) - _MOST_DAMAGED} more"] if len(damaged) > _MOST_DAMAGED else []
    return lines + more


def damage_refusal(folder: Path, damaged: Mapping[str, str]) -> BadData:
    """Why the files in a folder are not used, and what to do: all of the damaged ones are named."""
    if len(damaged) == 1:
        (only,) = listed_damage(damaged)
        return BadData(f"{shown(folder)}/{only}: repair it or remove it, or leave it out with --skip-damaged")
    return BadData(
        f"{len(damaged)} files of {shown(folder)} cannot be used: repair or remove them, or leave them out with --skip-damaged",
        items=listed_damage(damaged),
    )


def one_line(text: object) -> str:
    """The text of names and messages that others chose, in one line: with an escape for each character that is not printed."""
    return printable(str(text)).replace("\n", "\\n").replace("\t", "\\t")


def printable(text: str) -> str:
    """The text of names and messages that others chose, with an escape in the place of what a terminal would obey."""
    return "".join(map(_printable, text))


def _printable(character: str) -> str:
    plain = character.isprintable() or character in "\n\t"
    return character if plain else character.encode("unicode_escape").decode()
