"""Keeps passwords out of the list of processes, which every user of a machine can read."""

import os
import sys
from collections.abc import Sequence

from orchestrator.support.secrets import holds_password

_OPTION = "--storage"
_VARIABLE = "ORCHESTRATE_STORAGE"


def hide_passwords_from_process_list() -> None:
    """Start this process again with the database's URL in its environment, if it was given a password on its command line.

    Only its own user can read the environment. The words of the command line stand in the list for the moment until here.
    """
    words, url = without_storage(sys.orig_argv)
    if holds_password(url):
        os.execve(sys.executable, [sys.executable, *words[1:]], {**os.environ, _VARIABLE: url})


def without_storage(words: Sequence[str]) -> tuple[list[str], str]:
    """A command line without its option --storage, and the URL that it gave last; "" where it gave none."""
    kept: list[str] = []
    url = ""
    rest = iter(words)
    for word in rest:
        name, separator, value = word.partition("=")
        if name != _OPTION:
            kept.append(word)
        elif separator:
            url = value
        else:
            url = next(rest, "")
    return kept, url
