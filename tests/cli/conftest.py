"""Fixtures for tests of commands, which run in the folder of the test plug-ins."""

import shutil
from pathlib import Path

import pytest

from tests.cli.studies import QUIET, Refuse
from tests.helpers.in_process_cli import content, exit_code, refused
from tests.helpers.paths import PLUGINS


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)
    monkeypatch.delenv("ORCHESTRATE_STORAGE", raising=False)


@pytest.fixture(scope="session")
def finished_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder with the study `curves` of three trials, and a retrain."""
    runs = tmp_path_factory.mktemp("finished") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PLUGINS)
        assert exit_code("study", "curves", "--trials", "3", "--runs", runs, *QUIET) == 0
        assert exit_code("retrain-best", "--runs", runs, *QUIET) == 0
    return runs


@pytest.fixture
def runs(finished_runs: Path, tmp_path: Path) -> Path:
    """A copy of it, to be ruined."""
    return Path(shutil.copytree(finished_runs, tmp_path / "runs"))


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Refuse:
    """Refuses a command, and sees that nothing below the test's folder has changed."""

    def checked(code: int, *words: str | Path, says: tuple[str, ...] = ()) -> str:
        before = content(tmp_path)
        message = refused(capsys, code, *words, says=says)
        assert content(tmp_path) == before
        return message

    return checked


@pytest.fixture
def cifar100_runs(runs: Path) -> Path:
    """As if the retrain had been of CIFAR-100: what is checked before anything is predicted."""
    for file in runs.glob("curves/retrain/*/record.json"):
        file.write_text(file.read_text().replace('"digits"', '"cifar100"'))
    return runs
