"""Runs folders that others wrote: nothing in them leaves the folder. tests/generated_inputs changes the files themselves."""

import json
import shutil
from pathlib import Path

import pytest

from tests.helpers.in_process_cli import call, content, exit_code, refused
from tests.helpers.paths import PLUGINS

QUIET = ("--mirror", "off", "--executor", "in-process")


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)
    monkeypatch.delenv("ORCHESTRATE_STORAGE", raising=False)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder with the study `curves` of four trials, and a retrain."""
    runs = tmp_path_factory.mktemp("sound") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PLUGINS)
        assert exit_code("study", "curves", "--trials", "4", "--runs", runs, *QUIET) == 0
        assert exit_code("retrain-best", "--runs", runs, *QUIET) == 0
    return runs


@pytest.fixture
def runs(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "runs"))


STUDY = ("study", "curves", "--trials", "5", *QUIET)


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("curves", ("retrain-best", "curves")),
        ("curves/trials/0001", ("submit", "curves/1")),
        ("curves/retrain/other", ("submit",)),
    ],
)
def test_a_link_is_not_followed(
    name: str, last: tuple[str, ...], runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    target = runs / name
    if target.exists():
        target.rename(elsewhere)
    else:
        shutil.copytree(next((runs / "curves" / "retrain").iterdir()), elsewhere)
    target.symlink_to(elsewhere)
    before = content(elsewhere)
    for words in (STUDY, ("status", "curves"), ("leaderboard", "curves"), last):
        refused(capsys, 65, *words, "--runs", runs, says=(f"{target} is a link",))
    assert content(elsewhere) == before
    if name == "curves":
        refused(capsys, 66, "leaderboard", "--runs", runs, says=("there is no study",))


@pytest.mark.parametrize(
    "name",
    [
        "trials/0004/record.json.part",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("study.json.part", "trials/0004/epochs.jsonl.part")),
    ],
)
def test_nothing_is_written_through_a_link(name: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    place = runs / "curves" / name
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(precious)
    assert call(capsys, *STUDY, "--runs", runs).code == 0
    assert precious.read_text() == "keep me"


def test_a_lock_that_is_a_link_is_refused(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    precious, lock = tmp_path / "precious", runs / "curves" / "study.lock"
    precious.write_text("keep me")
    lock.unlink()
    lock.symlink_to(precious)
    refused(capsys, 74, *STUDY, "--runs", runs, says=("study.lock",))
    assert precious.read_text() == "keep me"


def test_a_trial_with_the_number_of_another_is_refused(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = runs / "curves" / "trials" / "0001" / "record.json"
    file.write_text(file.read_text().replace('"number": 1,', '"number": 1000000000,'))
    refused(capsys, 65, *STUDY, "--runs", runs, says=(str(file),))


@pytest.mark.parametrize("depth", [400, 100_000])
def test_deep_nesting_is_answered_with_a_message(depth: int, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("study.json", "trials/0001/record.json"):
        file = runs / "curves" / name
        whole = json.loads(file.read_text())
        where, field = ("search", "plan_content") if name == "study.json" else ("recipe", "params")
        whole[where][field] = "HERE"
        sound = file.read_text()
        file.write_text(json.dumps(whole).replace('"HERE"', '{"a":' + "[" * depth + "]" * depth + "}"))
        result = call(capsys, *STUDY, "--runs", runs)
        assert result.code == 65
        assert result.messages.startswith("error: ")
        assert len(result.messages) < 4000
        file.write_text(sound)
