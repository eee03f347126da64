"""Sessions that cannot start: other options on resume, a study in use, nothing to retrain or submit."""

import json
import shutil
from pathlib import Path

import pytest

from orchestrator.errors import TryAgainLater
from orchestrator.storage.lock import StudyLock
from orchestrator.storage.runs import RunsFolder
from tests.cli.studies import PLAN, QUIET, Refuse
from tests.helpers.paths import PLUGINS


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--epochs", "5", "epochs: 8 -> 5"),
        ("--seed", "3", "seed: 0 -> 3"),
        ("--pruner", "asha", 'pruner: "median" -> "asha"'),
        ("--sampler", "random", 'sampler: "tpe" -> "random"'),
        ("--dataset", "cifar100", 'dataset: "digits" -> "cifar100"'),
        ("--storage", "sqlite:///other.db", f"storage: the default -> sqlite:///{PLUGINS}/other.db"),
    ],
)
def test_other_options_on_resume(option: str, value: str, says: str, runs: Path, refuse: Refuse) -> None:
    words = ("study", "curves", "--study", "curves", "--trials", "9", "--runs", runs, *QUIET)
    refuse(78, *words, option, value, says=(says, "'curves'", "--study NAME"))


def test_another_plan_on_resume(runs: Path, refuse: Refuse, tmp_path: Path) -> None:
    file = tmp_path / "curves.py"
    file.write_text(PLAN.replace("FloatDistribution(0.0, 0.5)", "FloatDistribution(0.0, 0.4)"))
    refuse(78, "study", file, "--trials", "9", "--runs", runs, *QUIET, says=("space.dropout.attributes.high: 0.5 -> 0.4",))


def test_a_second_conductor_is_told_who_has_the_study(runs: Path, refuse: Refuse) -> None:
    with RunsFolder(runs).study("curves").lock():
        holder = json.loads((runs / "curves" / "study.lock").read_text())
        for words in (["study", "curves", "--trials", "9", *QUIET], ["retrain-best", "--epochs", "2", *QUIET], ["mirror"]):
            refuse(75, *words, "--runs", runs, says=(f"process {holder['process']} on {holder['host']}", "try again"))


@pytest.mark.parametrize("held", [b"[1]", b"3", b'"x"', b'{"process": 1}', b"\xff", b"[" * 100_000, b""])
def test_a_locked_study_is_refused_whatever_its_lock_file_holds(held: bytes, tmp_path: Path) -> None:
    lock = StudyLock(tmp_path / "study.lock", "curves")
    with lock.held():
        (tmp_path / "study.lock").write_bytes(held)
        with pytest.raises(TryAgainLater, match="study 'curves' is being run by another process; wait for it"):
            lock.refuse_if_locked()


def test_nothing_to_retrain_and_nothing_to_submit(runs: Path, refuse: Refuse) -> None:
    shutil.rmtree(runs / "curves" / "retrain")
    refuse(66, "submit", "--runs", runs, says=("no finished retrain", "orchestrate retrain-best"))
    for file in (runs / "curves" / "trials").glob("*/record.json"):
        file.write_text(file.read_text().replace('"COMPLETE"', '"FAILED"'))
    refuse(66, "retrain-best", "--runs", runs, *QUIET, says=("no COMPLETE trial", "orchestrate study curves --trials 6"))
    shutil.rmtree(runs / "curves" / "trials")
    refuse(66, "retrain-best", "--runs", runs, *QUIET, says=("no COMPLETE trial", "orchestrate study curves --runs"))


def test_a_trial_whose_weights_were_not_kept(runs: Path, refuse: Refuse) -> None:
    (runs / "curves" / "trials" / "0001" / "best.pt").unlink()
    refuse(66, "submit", "curves/1", "--runs", runs, says=("trials/0001/best.pt",))
