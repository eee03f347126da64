"""Numbers and values as messages write them."""

import json
from collections.abc import Mapping

from orchestrator.support.serialization import to_plain


def several(count: int, noun: str) -> str:
    """The count with its noun: "1 epoch", "12 epochs"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def short(value: object) -> str:
    """A hyperparameter's value; a float with three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else in_full(value)


def in_full(value: object) -> str:
    """A hyperparameter's value, as a user may write it; lists and mappings as in a recipe file."""
    return json.dumps(to_plain(value), ensure_ascii=False) if isinstance(value, Mapping | list | tuple) else str(value)


def one_line(text: object) -> str:
    """The text of names and messages that others chose, in one line: with an escape for each character that is not printed."""
    return printable(str(text)).replace("\n", "\\n").replace("\t", "\\t")


def printable(text: str) -> str:
    """The text of names and messages that others chose, with an escape in the place of what a terminal would obey."""
    return "".join(map(_printable, text))


def _printable(character: str) -> str:
    plain = character.isprintable() or character in "\n\t"
    return character if plain else character.encode("unicode_escape").decode()
