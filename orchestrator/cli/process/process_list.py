"""Keeps passwords out of the process list, which every user of a machine can read."""

import os
import sys
from collections.abc import Sequence

from orchestrator.support.secrets import holds_password

_OPTION = "--storage"
_VARIABLE = "ORCHESTRATE_STORAGE"


def hide_passwords_from_process_list() -> None:
    """Replace this process by one with the database URL in its environment, if the command line has a password in it.

    Only the user of a process can read its environment. Until here the process list shows the password.
    """
    arguments, url = without_storage(sys.orig_argv)
    if holds_password(url):
        os.execve(sys.executable, [sys.executable, *arguments[1:]], {**os.environ, _VARIABLE: url})


def without_storage(arguments: Sequence[str]) -> tuple[list[str], str]:
    """A command line without its options --storage, and the URL of the last one; "" where there is none."""
    kept: list[str] = []
    url = ""
    rest = iter(arguments)
    for argument in rest:
        name, separator, value = argument.partition("=")
        if name != _OPTION:
            kept.append(argument)
        elif separator:
            url = value
        else:
            url = next(rest, "")
    return kept, url
