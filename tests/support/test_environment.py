"""What is found out about the machine and the checkout."""

import os
import subprocess
from pathlib import Path

from orchestrator.support.environment import commit


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    return subprocess.run(["git", "-C", folder, *who, *words], capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_and_whether_something_is_uncommitted(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    file = tmp_path / "file.txt"
    file.write_text("one")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    assert commit(tmp_path) == (git(tmp_path, "rev-parse", "HEAD"), False)
    file.write_text("two")
    assert commit(tmp_path) == (git(tmp_path, "rev-parse", "HEAD"), True)


def test_outside_a_checkout_there_is_none(tmp_path: Path) -> None:
    assert commit(tmp_path) == ("", False)


def test_the_checkout_is_only_read(tmp_path: Path) -> None:
    """A `git status` that refreshes the index takes a lock, and leaves it there when it is killed."""
    git(tmp_path, "init", "-q")
    file = tmp_path / "file.txt"
    file.write_text("one")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    os.utime(file, (1, 1))  # now the index would be refreshed
    index = (tmp_path / ".git" / "index").read_bytes()
    commit(tmp_path)
    assert (tmp_path / ".git" / "index").read_bytes() == index
