"""Runs folders that somebody else wrote: nothing in them is executed, leaves the folder, or ends in anything but a message."""

import copy
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests._cli import call, exit_code
from tests._studies import PLUGINS

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


LOOKING = ("status curves", "status curves --format json", "leaderboard curves", "leaderboard curves --format csv")


@pytest.mark.parametrize("name", ["study.json", "trials/0001/record.json", "trials/0001/epochs.jsonl"])
def test_a_nasty_value_is_answered_with_a_message(name: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fuzz(capsys, runs, name, 0, 25, *LOOKING)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["study.json", "trials/0000/record.json", "trials/0001/record.json", "trials/0001/epochs.jsonl"])
def test_nasty_values_everywhere(name: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fuzz(capsys, runs, name, 1, 250, *LOOKING)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["study.json", "trials/0000/record.json", "trials/0003/record.json"])
def test_nasty_values_before_something_is_done(name: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fuzz(capsys, runs, name, 2, 20, "study curves --mirror off --executor in-process", "submit curves/0")
