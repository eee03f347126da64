"""The folders that a user gave before are the defaults of later commands, and an option still wins."""

import json
import shutil
from pathlib import Path

import pytest

from orchestrator.storage.remembered_folders import (
    DEFAULT_DATA,
    data_folder_of,
    recorded,
    remember_runs_folder,
    remembered_runs_folder,
)
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_file import StudyFile
from tests.helpers.in_process_cli import Result, call
from tests.helpers.paths import PLUGINS
from tests.helpers.subprocess_cli import run

QUIET = ("--mirror", "off", "--executor", "in-process")
STUDY = StudyFile(uuid="u", name="part2", created=1.5)
REMEMBERED = "using the runs folder {}, as the last study here did"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the test plug-ins."""
    folder = Path(shutil.copytree(PLUGINS, tmp_path / "here"))
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ORCHESTRATE_STORAGE", raising=False)
    return folder


def study(capsys: pytest.CaptureFixture[str], *words: str | Path, trials: int = 2) -> Result:
    result = call(capsys, "study", "curves", "--trials", str(trials), *QUIET, *words)
    assert result.code == 0, result.messages
    return result


def test_a_given_data_folder_wins_over_the_recorded_one_and_that_over_the_default(tmp_path: Path) -> None:
    said: list[str] = []
    assert data_folder_of(None, None, said.append) == DEFAULT_DATA
    assert data_folder_of(STUDY, None, said.append) == DEFAULT_DATA
    recording = STUDY.with_data_folder(str(tmp_path))
    assert data_folder_of(recording, None, said.append) == tmp_path
    assert data_folder_of(recording, Path("other"), said.append) == Path("other")
    assert said == []
    assert recording.with_data_folder("") == recording


@pytest.mark.parametrize("folder", ["/no/such/folder", "not/absolute", "/" + "9" * 100_000, "/a\0b\x1b[2J\n"])
def test_a_recorded_data_folder_that_is_not_there_is_said_and_not_used(folder: str) -> None:
    said: list[str] = []
    assert data_folder_of(STUDY.with_data_folder(folder), None, said.append) == DEFAULT_DATA
    (line,) = said
    assert line.startswith("warning: the data folder ")
    assert line.endswith(" of study part2 is not on this machine; using data. Give another with --data-dir")
    assert len(line) < 1000
    assert line.isprintable()


def test_data_folders_are_recorded_as_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert recorded(Path("pictures")) == str(tmp_path / "pictures")
    assert recorded(None) == ""
    assert recorded(Path("caf\udce9")) == ""  # not UTF-8: JSON cannot hold it


def test_the_runs_folder_of_a_working_directory_is_remembered_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state_folder: Path
) -> None:
    here, elsewhere, runs = tmp_path / "here", tmp_path / "elsewhere", tmp_path / "runs"
    for folder in (here, elsewhere, runs):
        folder.mkdir()
    monkeypatch.chdir(here)
    assert remembered_runs_folder() is None
    remember_runs_folder(Path("../runs"))
    assert remembered_runs_folder() == here / "../runs"
    monkeypatch.chdir(elsewhere)
    assert remembered_runs_folder() is None
    remember_runs_folder(runs)
    assert remembered_runs_folder() == runs
    remember_runs_folder(Path("runs"))
    assert remembered_runs_folder() is None
    monkeypatch.chdir(here)
    assert remembered_runs_folder() == here / "../runs"
    runs.rmdir()
    assert remembered_runs_folder() is None
    file = state_folder / "orchestrate" / "runs-folders.json"
    assert list(json.loads(file.read_text())) == [str(here)]
    assert [found.name for found in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": 3}', b"\xff", b"[" * 100_000])
def test_a_damaged_memory_is_ignored(tmp_path: Path, content: bytes, state_folder: Path) -> None:
    file = state_folder / "orchestrate" / "runs-folders.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert remembered_runs_folder() is None
    remember_runs_folder(tmp_path / "other")


def test_a_state_folder_that_cannot_be_written_is_ignored(tmp_path: Path, state_folder: Path) -> None:
    state_folder.write_text("a file")
    remember_runs_folder(tmp_path / "other")
    assert remembered_runs_folder() is None


@pytest.mark.slow
def test_later_commands_find_the_study_and_its_data(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, runs = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    result = study(capsys, "--data-dir", data, "--runs", runs)
    assert "using the runs folder" not in result.messages
    folder = RunsFolder(runs).study("curves")
    assert folder.read().data_folder == str(data)
    commands = (
        "status",
        "leaderboard",
        "mirror --mirror off",
        "retrain-best --mirror off --executor in-process",
        "recipe curves/0",
    )
    for command in (*commands, "submit", "stop curves", "enqueue curves dropout=0.1"):
        result = call(capsys, *command.split())
        assert result.code == 0, f"{command}: {result.messages}"
        assert result.messages.splitlines()[0] == REMEMBERED.format(runs)
        assert "warning" not in result.messages
    assert folder.read().data_folder == str(data)
    assert not (here / "runs").exists()


@pytest.mark.slow
def test_an_option_wins_and_a_study_in_the_default_folder_is_the_last_one_then(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study(capsys, "--runs", tmp_path / "a")
    result = call(capsys, "status", "--runs", tmp_path / "a")
    assert result.code == 0
    assert "using the runs folder" not in result.messages
    study(capsys)
    result = call(capsys, "status")
    assert result.code == 0
    assert "using the runs folder" not in result.messages
    assert (here / "runs" / "curves" / "study.json").is_file()


@pytest.mark.slow
def test_a_data_folder_that_is_gone_is_said_once_and_another_is_recorded_on_resume(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("data", "other"):
        (tmp_path / name).mkdir()
    study(capsys, "--data-dir", tmp_path / "data")
    (tmp_path / "data").rmdir()
    gone = f"warning: the data folder {tmp_path / 'data'} of study curves is not on this machine; using data"
    result = study(capsys, trials=3)
    assert result.messages.count(gone) == 1
    result = study(capsys, "--data-dir", tmp_path / "other", trials=4)
    assert gone not in result.messages
    assert RunsFolder(here / "runs").study("curves").read().data_folder == str(tmp_path / "other")
    assert "warning" not in study(capsys, trials=5).messages
    assert RunsFolder(here / "runs").study("curves").read().data_folder == str(tmp_path / "other")


def test_a_single_run_records_its_data_folder_too(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, runs = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    assert call(capsys, "train", "curves", "--data-dir", data, "--runs", runs, *QUIET).code == 0
    assert RunsFolder(runs).study("train").read().data_folder == str(data)
    assert call(capsys, "status").messages.splitlines() == [REMEMBERED.format(runs)]


def test_a_dry_run_remembers_nothing(here: Path, tmp_path: Path, state_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study(capsys, "--runs", tmp_path / "elsewhere", "--dry-run")
    assert not state_folder.exists()


@pytest.mark.slow
def test_the_real_command_retrains_the_best_of_a_study_elsewhere_without_options(here: Path, tmp_path: Path) -> None:
    data, runs = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    run("study", "curves", "--trials", "2", "--data-dir", data, "--runs", runs, *QUIET, folder=here)
    _, messages = run("retrain-best", *QUIET, folder=here)
    assert messages.splitlines()[0] == REMEMBERED.format(runs)
    assert list(runs.glob("curves/retrain/*/submission.csv"))
