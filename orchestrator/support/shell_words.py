"""Command lines that a message gives to be pasted into a shell, quoted where they need it."""

import shlex
from pathlib import Path


def command(*words: str | Path) -> str:
    """The command `orchestrate` with these words."""
    return shlex.join(["orchestrate", *map(str, words)])


def quoted(path: str | Path) -> str:
    """One word of another command, such as a file's path."""
    return shlex.quote(str(path))
