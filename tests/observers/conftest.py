"""Observers in processes of their own, and copies that a test left closed at its end."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from orchestrator.observers.optuna import PublishedStudy, open_copy
from orchestrator.observers.subprocess_observer import SubprocessObserver
from tests.helpers.published_copies import Copier, configuration


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file of Optuna without a study: its tables take longer to make than a test to run."""
    file = tmp_path_factory.mktemp("empty") / "optuna.db"
    optuna.storages.RDBStorage(f"sqlite:///{file}").engine.dispose()
    return file


@pytest.fixture
def copier(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Copier]:
    """Opens a copy in this process, which writes each change at once; connections that a test left are closed."""
    shutil.copy(empty_database, tmp_path / "optuna.db")
    monkeypatch.setattr("orchestrator.observers.optuna._BETWEEN_WRITINGS", 0.0)
    opened = []

    def start(**changes: Any) -> PublishedStudy:
        opened.append(open_copy(configuration(tmp_path, **changes)))
        return opened[-1]

    yield start
    for copy in opened:
        copy._storage.engine.dispose()


@pytest.fixture
def no_wandb_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, entity, project or mode of the person who runs the tests."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Callable[..., SubprocessObserver]]:
    """Starts a mirror; one that a failed test left is ended."""
    started = []

    def start(mode: str = "offline") -> SubprocessObserver:
        started.append(
            SubprocessObserver(
                "orchestrator.observers.wandb:open_mirror",
                {"study": "part2", "folder": str(tmp_path), "mode": mode},
                log=tmp_path / "logs" / "wandb.log",
                copy="the W&B copy of part2",
            )
        )
        return started[-1]

    yield start
    for observer in started:
        observer.finish(0)
