"""Command lines that a message gives to be pasted into a shell, quoted where they need it."""

import shlex
from pathlib import Path


def command(*words: str | Path) -> str:
    """The command `orchestrate` with these words."""
    return " ".join(["orchestrate", *map(quoted, words)])


def quoted(path: str | Path) -> str:
    """One word of another command, such as a file's path. A line end is escaped: a message shows a command in one line."""
    word = str(path)
    if "\n" not in word:
        return shlex.quote(word)
    return "$'" + word.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
