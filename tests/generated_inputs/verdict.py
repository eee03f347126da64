"""Runs a command on a generated input, and judges it: no traceback, a right exit code, one message of one line, no change."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest

from tests.helpers.in_process_cli import Result, call, content

# Of `orchestrator.errors`, without what no input of one command can cause: 1 a run failed, 75 another process has the study.
USAGE, DATA, MISSING, SERVICE, DISK, DIFFERS = 2, 65, 66, 69, 74, 78


def judged(
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    codes: Collection[int],
    *words: str | Path,
    names: Sequence[str] = (),
    writes: bool = False,
) -> Result:
    """Run a command, which must end with one of these exit codes. A refusal names all of `names`.

    Nothing below `folder` may change; where `writes` is set, nothing if the command is refused.
    """
    before = content(folder)
    result = call(capsys, *words)
    told = f"{[str(word)[:200] for word in words]}: exit code {result.code}\n{result.output[:2000]}{result.messages[:4000]}"
    assert result.code in codes, told
    assert "Traceback" not in result.output + result.messages, told
    _, mark, message = ("\n" + result.messages).partition("\nerror: ")
    if result.code == 0:
        assert not mark, told
    else:
        assert result.output == "", told
        assert mark, told
        assert "\nerror: " not in message, told
        assert is_one_line(message), told
        for name in names:
            assert name in message, f"{name!r} is not named\n{told}"
    if not (writes and result.code == 0):
        assert content(folder) == before, f"files have changed\n{told}"
    return result


def is_one_line(message: str) -> bool:
    """Whether it is one line, or one with a list below it, each item of which has a line."""
    first, *more = message.removesuffix("\n").split("\n")
    return bool(first) and all(line.startswith("  ") for line in more)


@contextlib.contextmanager
def holding(file: Path, generated: bytes) -> Iterator[None]:
    """Let a file hold this, and afterwards what it held before."""
    before = file.read_bytes() if file.exists() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(generated)
    try:
        yield
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_bytes(before)
