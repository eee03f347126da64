"""A damaged file of a study is named, and nothing else is touched."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.studies import QUIET, Refuse

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "torn": lambda data: data[: len(data) // 2],
    "noise": lambda data: np.random.default_rng(0).bytes(len(data)),
    "another JSON": lambda data: b"[1, 2]\n",
    "an unknown field": lambda data: data.replace(b"{", b'{"invented": 1, ', 1),
    "a wrong type": lambda data: data.replace(b'"uuid": "', b'"uuid": 1, "x": "').replace(b'"status": "', b'"status": "UN'),
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
@pytest.mark.parametrize("name", ["study.json", "trials/0001/record.json"])
def test_a_damaged_record_is_named_and_nothing_else_is_touched(damage: str, name: str, runs: Path, refuse: Refuse) -> None:
    file = runs / "curves" / name
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    for words in (["study", "curves", "--trials", "9", *QUIET], ["status"], ["retrain-best", *QUIET]):
        refuse(65, *words, "--runs", runs, says=(f"{file} is damaged", "restore it from a backup, or move"))


@pytest.mark.parametrize("damage", ["empty", "torn", "noise"])
def test_damaged_epochs_are_named_and_nothing_else_is_touched(damage: str, runs: Path, refuse: Refuse) -> None:
    file = runs / "curves" / "trials" / "0001" / "epochs.jsonl"
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    refuse(65, "study", "curves", "--trials", "9", "--runs", runs, *QUIET, says=(str(file),))


def test_a_copied_trial_does_not_count_twice(runs: Path, refuse: Refuse) -> None:
    trials = runs / "curves" / "trials"
    shutil.copytree(trials / "0001", trials / "0001-copy")
    says = (str(trials / "0001-copy"), "curves/trials/0001", "move")
    for words in (["study", "curves", "--trials", "9", *QUIET], ["leaderboard"], ["status"]):
        refuse(65, *words, "--runs", runs, says=says)


@pytest.mark.parametrize("damage", ["empty", "torn", "noise", "one bit"])
def test_damaged_weights_are_refused_and_the_submission_stays(damage: str, runs: Path, refuse: Refuse) -> None:
    (file,) = runs.glob("curves/retrain/*/best.pt")
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(DAMAGES[damage](bytes(data)) if damage in DAMAGES else bytes(data))
    refuse(65, "submit", "--runs", runs, says=(f"{file} is damaged",))
