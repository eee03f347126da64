"""Optuna's database: unreachable, without a driver, of another study, with a password, lost during a study."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import Mismatch
from orchestrator.record import Kind
from orchestrator.sessions import observers
from orchestrator.sessions.open_study import OpenedStudy, Request, open_study
from orchestrator.storage.runs import RunsFolder
from orchestrator.support.clock import SystemClock
from tests.cli.studies import QUIET, Refuse, finished
from tests.helpers import subprocess_cli
from tests.helpers.in_process_cli import call, refused
from tests.helpers.paths import PLUGINS


def test_a_database_that_cannot_be_reached(refuse: Refuse, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}"
    words = ("study", "curves", "--trials", "2", "--runs", tmp_path / "runs", *QUIET)
    refuse(69, *words, "--storage", url, says=(url, "unable to open database file", "--storage"))
    assert not (tmp_path / "runs" / "curves").exists()


def test_a_database_whose_driver_is_missing(refuse: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("study", "curves", "--trials", "2", "--runs", tmp_path / "runs", *QUIET)
    shown = "postgresql://user:***@127.0.0.1:1/name"
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setenv("ORCHESTRATE_STORAGE", shown.replace("***", "s3cret"))
    message = refuse(69, *words, says=(shown,))
    assert "s3cret" not in message
    assert "pip install 'sweep-conductor[postgresql]'" in message


def test_a_finished_study_is_unchanged_by_a_database_that_cannot_be_reached(runs: Path, refuse: Refuse) -> None:
    database = runs / "optuna.db"
    database.unlink()
    database.mkdir()
    refuse(69, "study", "curves", "--trials", "5", "--runs", runs, *QUIET, says=("optuna.db",))


def test_another_study_of_that_name_in_the_database(runs: Path, refuse: Refuse, tmp_path: Path) -> None:
    words = ("study", "curves", "--trials", "2", "--runs", tmp_path / "others", *QUIET)
    refuse(78, *words, "--storage", f"sqlite:///{runs / 'optuna.db'}", says=("another study 'curves'", "--study", "--storage"))
    assert not (tmp_path / "others" / "curves").exists()


def test_a_password_is_written_nowhere(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, database = tmp_path / "runs", tmp_path / "team.db"
    words = ("study", "curves", "--runs", runs, *QUIET)
    url = f"sqlite:///file:{database}?uri=true&password=s3cret"
    first = call(capsys, *words, "--trials", "1", "--storage", url)
    assert "can read a command line; put a URL with a password in ORCHESTRATE_STORAGE" in first.messages
    assert first.code == 0
    assert database.is_file()
    message = refused(capsys, 2, *words, "--trials", "2", says=("passwords are never stored", "--storage", "ORCHESTRATE_STORAGE"))
    monkeypatch.setenv("ORCHESTRATE_STORAGE", url.replace("team.db", "other.db"))
    other = refused(capsys, 78, *words, "--trials", "2")
    monkeypatch.setenv("ORCHESTRATE_STORAGE", url)
    second = call(capsys, *words, "--trials", "2")
    assert second.code == 0
    assert "command line" not in second.messages
    for text in (first.messages, second.messages, message, other):
        assert "s3cret" not in text
    for path in runs.rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes(), path


def test_a_study_publishes_to_one_file_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(storage: str | None) -> OpenedStudy:
        request = Request(plan=str(PLUGINS / "search_spaces" / "curves.py"), trials=1, storage=storage)
        return open_study(request, RunsFolder(tmp_path / "runs"), None, SystemClock(), pytest.fail)

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    begun = opened("sqlite:///copy.db")
    begun.folder.write(begun.file)
    monkeypatch.chdir(tmp_path / "elsewhere")
    for storage in (None, "sqlite:///../copy.db", f"sqlite+pysqlite:///{tmp_path}/copy.db"):
        assert opened(storage).storage == begun.storage == begun.file.require_search().storage == f"sqlite:///{tmp_path}/copy.db"
    with pytest.raises(Mismatch, match=r"/elsewhere/copy\.db"):
        opened("sqlite:///copy.db")


def kill_copy(_runs: Path) -> None:
    """Kill the process that writes Optuna's copy."""
    (copy,) = subprocess_cli.running_below(os.getpid(), "observers.subprocess_observer")
    copy.kill()


def garble_database(runs: Path) -> None:
    """Overwrite the database, and what SQLite keeps beside it."""
    for file in runs.glob("optuna.db*"):
        file.write_bytes(b"no database" * (file.stat().st_size // 11))


@pytest.mark.slow
@pytest.mark.parametrize("lose", [kill_copy, garble_database])
def test_a_database_lost_in_mid_study_costs_no_trial(
    lose: Callable[[Path], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(observers, "SECONDS_TO_FINISH", 2.0)
    runs = tmp_path / "runs"
    folder = RunsFolder(runs).study("slow_curves")

    def lose_later() -> None:
        subprocess_cli.wait_for(lambda: finished(folder) >= 1, "the first trial")
        lose(runs)

    loser = threading.Thread(target=lose_later)
    loser.start()
    result = call(capsys, "study", "slow_curves", "--trials", "3", "--runs", runs, *QUIET)
    loser.join()
    assert result.code == 0, result.messages
    assert [record.status.finished for record in folder.runs(Kind.TRIAL)] == [True] * 3
    (warning,) = [line for line in result.messages.splitlines() if line.startswith("warning: ")]
    assert "Optuna's copy of slow_curves" in warning
    assert "orchestrate mirror slow_curves" in warning
    assert "Traceback" not in result.messages
