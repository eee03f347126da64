"""Calling a command inside this process, and seeing that a refusal is one clear message and leaves no files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator import cli

# What differs without anything having been lost: who held the lock last, what workers and observers printed, and the files
# that SQLite makes beside a database that was looked into.
_PASSING = {"__pycache__", "study.lock", "logs", "optuna.db-shm", "optuna.db-wal"}


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it wrote."""

    code: int
    output: str
    messages: str


def call(capsys: pytest.CaptureFixture[str], *words: str | Path) -> Result:
    """Run a command."""
    capsys.readouterr()
    code = exit_code(*words)
    output, messages = capsys.readouterr()
    return Result(code, output, messages)


def exit_code(*words: str | Path) -> int:
    """Run a command, whatever it writes."""
    arguments = [str(word) for word in words]
    return cli.run(lambda: cli.invoke(arguments))


def refused(capsys: pytest.CaptureFixture[str], code: int, *words: str | Path, says: Sequence[str] = ()) -> str:
    """Run a command that must end with this exit code and one message, which holds all of `says`. Returns the message."""
    result = call(capsys, *words)
    assert result.code == code, f"exit code {result.code}, expected {code}:\n{result.output}\n{result.messages}"
    assert result.output == ""
    assert result.messages.startswith("error: ")
    assert result.messages.count("error: ") == 1
    assert "Traceback" not in result.messages
    for text in says:
        assert text in result.messages
    return result.messages


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path in it."""
    files = (path for path in folder.rglob("*") if path.is_file() and not _PASSING & set(path.relative_to(folder).parts))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
