"""Runs folders that others wrote: nothing in them is executed, leaves the folder, or ends in anything but a message."""

import copy
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.in_process_cli import call, content, exit_code, refused
from tests.helpers.paths import PLUGINS

QUIET = ("--mirror", "off", "--executor", "in-process")
CODES = {0, 1, 2, 65, 66, 69, 74, 78}  # of `orchestrator.errors`; 1 stands for "every trial failed" here
NUMBERS: list[Any] = [True, -1, 0, 0.5, 1e300, -1e300, 2**63 - 1, 2**64, 10**400]
TEXTS: list[Any] = ["nan", "inf", "-inf", "", "x", "../../etc", "=1+1", "\x1b[2J\0\n", "9" * 100_000]
NASTY: list[Any] = [None, *NUMBERS, *TEXTS, [], [[[]]], [1] * 1000, {}, {"a": {"b": []}}]


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


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in a JSON value, itself included."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))


def changed(value: Any, path: tuple[Any, ...], to: Any) -> Any:
    if not path:
        return to
    found = copy.deepcopy(value)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return found


def check_messages(capsys: pytest.CaptureFixture[str], runs: Path, *commands: str) -> None:
    for command in commands:
        words = [*command.split(), "--runs", str(runs)]
        result = call(capsys, *words)
        assert result.code in CODES, f"{command}: {result.messages}"
        assert "Traceback" not in result.messages
        if result.code > 1:
            assert result.messages.count("error: ") == 1, result.messages
            assert len(result.messages) < 4000


def fuzz(capsys: pytest.CaptureFixture[str], runs: Path, name: str, seed: int, times: int, *commands: str) -> None:
    """Put nasty values into random places of a JSON file, one at a time, and run commands."""
    file = runs / "curves" / name
    whole = file.read_text()
    sound = json.loads(whole.splitlines()[0] if name.endswith("jsonl") else whole)
    chosen = random.Random(seed)
    places = [(path, value) for path in leaves(sound) for value in NASTY]
    for path, value in chosen.sample(places, min(times, len(places))):
        text = json.dumps(changed(sound, path, value), indent=None if name.endswith("jsonl") else 1)
        file.write_text(text + "\n" + "".join(whole.splitlines(keepends=True)[1:]) if name.endswith("jsonl") else text)
        try:
            check_messages(capsys, runs, *commands)
        except Exception as error:
            raise AssertionError(f"{name}: {path} = {str(value)[:60]!r}: {error!r}") from error
    file.write_text(whole)


LOOKING = (
    *("status curves", "status curves --format json", "leaderboard curves", "leaderboard curves --format csv"),
    *("show curves/1", "show curves/1 --format json", "studies", "studies list --format csv"),
)


@pytest.mark.parametrize("name", ["study.json", "trials/0001/record.json", "trials/0001/epochs.jsonl"])
def test_a_nasty_value_is_answered_with_a_message(name: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fuzz(capsys, runs, name, 0, 25, *LOOKING)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["study.json", "trials/0000/record.json", "trials/0001/record.json", "trials/0001/epochs.jsonl"])
def test_nasty_values_everywhere(name: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fuzz(capsys, runs, name, 1, 120, *LOOKING)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["study.json", "trials/0000/record.json", "trials/0003/record.json"])
def test_nasty_values_before_something_is_done(name: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fuzz(capsys, runs, name, 2, 20, "study curves --mirror off --executor in-process", "submit curves/0")


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


@pytest.mark.parametrize("name", ["study.json.part", "trials/0004/record.json.part", "trials/0004/epochs.jsonl.part"])
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
        assert result.code in (65, 78)  # what is shallow enough to be read differs from the plan
        assert result.messages.startswith("error: ")
        assert len(result.messages) < 4000
        file.write_text(sound)
