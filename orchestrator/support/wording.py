"""Numbers and values as messages write them."""

import json
from collections.abc import Mapping
from datetime import datetime

from orchestrator.support.serialization import to_plain

_UNITS = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


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


def printable(text: str) -> str:
    """The text of names and messages that others chose, with an escape in the place of what a terminal would obey."""
    return "".join(map(_printable, text))


def _printable(character: str) -> str:
    plain = character.isprintable() or character in "\n\t"
    return character if plain else character.encode("unicode_escape").decode()
