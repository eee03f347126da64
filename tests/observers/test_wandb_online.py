"""The W&B mirror with and without a server, a key and the variables of W&B."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.observers.replay import replay
from orchestrator.observers.subprocess_observer import SubprocessObserver
from tests.helpers.observed_runs import curve, ended, running, seen, study_of
from tests.helpers.wandb_files import COLUMNS, complete, read_folder
from tests.helpers.wandb_server import WandbServer

pytestmark = pytest.mark.usefixtures("no_wandb_account")


KEY = "0123456789abcdef0123456789abcdef01234567"  # the shape of one


@pytest.mark.slow
def test_online_without_a_key_writes_files_and_says_so(mirror: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = mirror("online")
    replay(observer, study_of(2))
    warning = observer.finish(60)
    assert warning is not None
    assert "API key" in warning
    assert len(read_folder(tmp_path)) == 2
    assert all(folder.name.startswith("offline-run-") for folder in tmp_path.glob("wandb/*run-*"))


@pytest.mark.slow
def test_online_every_row_reaches_the_server_once(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, epochs = running(0), curve(4)
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        observer = mirror("auto")
        observer.opened(record, [])
        for epoch in epochs[:2]:
            observer.measured(seen(record, epochs[: epoch.number]), epoch)
        assert observer.finish(60) is None  # Ctrl-C; later the study is resumed
        assert [row["epoch"] for row in server.rows["3f2a9c1b-t0000"]] == [1, 2]
        observer = mirror("auto")
        observer.opened(seen(record, epochs[:2]), epochs[:2])
        for epoch in epochs[2:]:
            observer.measured(seen(record, epochs[: epoch.number]), epoch)
        observer.closed(ended(record, epochs))
        assert observer.finish(60) is None
        assert [row["epoch"] for row in server.rows["3f2a9c1b-t0000"]] == [1, 2, 3, 4]
        shutil.rmtree(tmp_path / "wandb")  # so that only the server knows what it has
        observer = mirror("auto")
        replay(observer, [(ended(record, epochs), epochs)])
        assert observer.finish(60) is None
    assert [row["epoch"] for row in server.rows["3f2a9c1b-t0000"]] == [1, 2, 3, 4]
    assert {name for row in server.rows["3f2a9c1b-t0000"] for name in row if not name.startswith("_")} == COLUMNS
    assert KEY not in (tmp_path / "logs" / "wandb.log").read_text()


@pytest.mark.slow
def test_what_was_written_offline_is_uploaded_once_there_is_a_key(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = study_of(2)
    observer = mirror("auto")
    replay(observer, runs)
    assert len(complete(observer, tmp_path)) == 2
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        for _ in range(2):
            observer = mirror("auto")
            replay(observer, runs)
            assert observer.finish(60) is None
    assert {name: [row["epoch"] for row in rows] for name, rows in server.rows.items()} == {
        "3f2a9c1b-t0000": [1, 2, 3],
        "3f2a9c1b-t0001": [1, 2, 3],
    }


@pytest.mark.slow
def test_auto_is_offline_without_a_key(mirror: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = mirror("auto")
    replay(observer, study_of(1))
    assert len(complete(observer, tmp_path)) == 1


def test_wandb_mode_disabled_writes_nothing(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    observer = mirror("auto")
    record, epochs = running(0), curve(1)
    observer.opened(record, [])
    observer.measured(seen(record, epochs), epochs[0])
    observer.closed(ended(record, epochs))
    assert complete(observer, tmp_path) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({}, "offline"),
        ({"WANDB_API_KEY": KEY}, "online"),
        ({"WANDB_API_KEY": KEY, "WANDB_MODE": "offline"}, "offline"),
        ({"NETRC": "stored"}, "online"),
        ({"WANDB_MODE": "online"}, "online"),
    ],
)
def test_auto_asks_this_machine_for_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], mode: str
) -> None:
    stored = tmp_path / "stored"
    stored.write_text(f"machine wandb.example\n  login user\n  password {KEY}\n")
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example")
    for name, value in environment.items():
        monkeypatch.setenv(name, str(stored) if name == "NETRC" else value)
    script = "from orchestrator.observers.wandb import _mode; print(_mode('auto')[0])"
    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert asked.stdout.split() == [mode]


def test_a_mode_that_nobody_knows_is_refused_with_a_reason(
    mirror: Callable[..., SubprocessObserver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    problem = mirror("auto").ready(20)
    assert problem is not None
    assert "WANDB_MODE='sometimes'" in problem.message
