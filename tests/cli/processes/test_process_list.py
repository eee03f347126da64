"""A password that was typed on the command line does not stay in the list of processes."""

from pathlib import Path

import psutil
import pytest

from orchestrator.cli.process.process_list import without_storage
from orchestrator.support.secrets import holds_password
from tests.helpers.subprocess_cli import start, wait_for

URL = "postgresql://me:s3cret@example.invalid/name"


@pytest.mark.parametrize(
    ("words", "kept", "url"),
    [
        (["python", "orchestrate", "study", "part1"], ["python", "orchestrate", "study", "part1"], ""),
        (["o", "study", "--storage", URL, "--trials", "3"], ["o", "study", "--trials", "3"], URL),
        (["o", f"--storage={URL}", "study"], ["o", "study"], URL),
        (["o", "--storage", "sqlite:///a", f"--storage={URL}"], ["o"], URL),
        (["o", "--storage"], ["o"], ""),
    ],
)
def test_the_option_is_taken_out_of_the_command_line(words: list[str], kept: list[str], url: str) -> None:
    assert without_storage(words) == (kept, url)


def test_the_list_of_processes_shows_no_password(tmp_path: Path) -> None:
    """The address never answers, so the command is still trying to connect, or has reported that it cannot (69)."""
    process = start(
        "study", "curves", "--trials", "1", "--runs", tmp_path / "runs", "--storage", URL.replace("example.invalid", "192.0.2.1")
    )
    listed = psutil.Process(process.pid)

    def hidden() -> bool:
        words = " ".join(listed.cmdline())
        return "curves" in words and "s3cret" not in words

    try:
        wait_for(hidden, "the password to leave the list of processes")
    finally:
        process.kill()
        output, messages = process.communicate()
    assert "s3cret" not in output + messages


@pytest.mark.slow
def test_a_url_without_a_password_stays_where_it_is(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    places: list[str | Path] = ["--runs", runs, "--data-dir", tmp_path, "--storage", f"sqlite:///{tmp_path}/a.db"]
    process = start("study", "slow_curves", "--trials", "9", "--mirror", "off", *places)
    try:
        wait_for((runs / "slow_curves" / "study.json").exists, "the study to begin")
        assert "--storage" in psutil.Process(process.pid).cmdline()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("url", "holds"),
    [
        ("sqlite:///a b/c.db", False),
        ("postgresql://me@host/name", False),
        ("postgresql://me:p w@host/name", True),
        ("mysql://me@host/name?Password=secret", True),
        ("postgresql://host/name?user=me&password=p w", True),
    ],
)
def test_a_password_is_seen_also_with_spaces_and_in_the_query(url: str, holds: bool) -> None:
    assert holds_password(url) == holds
