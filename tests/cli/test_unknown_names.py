"""A name that is unknown is answered with the known ones, nearest first."""

from pathlib import Path

import pytest

from tests.cli.studies import Refuse


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stdy", "curves"], "unknown command 'stdy'; known: study, "),
        (["data", "fetsh"], "unknown command 'fetsh'; known: fetch, verify"),
        (["study", "curvs", "--trials", "3"], "unknown plan 'curvs'; known: curves, "),
        (["study", "", "--trials", "3"], "unknown plan ''"),
        (
            ["study", "curves", "--trials", "3", "--dataset", "cifr100"],
            "unknown data set 'cifr100'; known: cifar100, cifar10, folder",
        ),
        (["study", "curves", "--trials", "3", "--dataset", ""], "unknown data set ''"),
        (["study", "curves", "--trials", "3", "--epochs", "100001"], "100001 is more than 100,000"),
        (["train", "001-P1", "--epochs", "999999"], "999999 is more than 100,000"),
        (["study", "curves", "--trials", "3", "--executor", "in-process", "--workers", "4"], "leave --workers 4 out"),
        (["study", "curves", "--trials", "3", "--pruner", "medain"], "unknown pruner 'medain'; known: median, "),
        (["study", "curves", "--trials", "3", "--sampler", "tp"], "unknown sampler 'tp'; known: tpe, random"),
        (["study", "curves", "--trials", "3", "--mirror", "onlin"], "unknown mirror 'onlin'; known: online, offline, "),
        (["study", "curves", "--trials", "3", "--executor", "process"], "unknown executor 'process'; known: processes, "),
        (["study", "curves", "--trials", "3", "--format", "jsn"], "unknown format 'jsn'; known: json, table"),
        (["leaderboard", "--format", "cvs"], "unknown format 'cvs'; known: csv, "),
        (["leaderboard", "--report", "leaderbord"], "unknown report 'leaderbord'; known: leaderboard"),
        (["data", "fetch", "cifar1"], "unknown data set 'cifar1'; known: cifar10, cifar100, "),
        (["data", "fetch", "resnet50-V1"], "known: resnet50-IMAGENET1K_V1, "),
        (["data", "verify", "cifar1"], "unknown data set 'cifar1'; known: cifar10, cifar100, "),
        (["study", "curves", "--trials", "3", "--dataset", "folder"], "needs an argument: folder:PATH"),
        (["submit", "--check", "x.csv", "--dataset", "digit"], "unknown data set 'digit'; known: digits, "),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones_nearest_first(
    words: list[str], says: str, refuse: Refuse, tmp_path: Path
) -> None:
    where = ["--runs", str(tmp_path / "runs")] if words[0] in {"study", "leaderboard"} else []
    refuse(2, *words, *where, says=(says,))


@pytest.mark.parametrize("command", ["leaderboard", "status", "retrain-best", "mirror"])
def test_an_unknown_study_is_answered_with_the_known_ones(command: str, runs: Path, refuse: Refuse) -> None:
    refuse(2, command, "curve", "--runs", runs, says=("unknown study 'curve'; known: curves; the runs folder is", str(runs)))


@pytest.mark.parametrize("command", ["retrain", "show", "submit"])
@pytest.mark.parametrize("run", ["curves/9", "curves/trials/0009", "curves/trials", "curves", "curves/../curves/trials/0001"])
def test_an_unknown_run_is_answered_with_the_known_ones(command: str, run: str, runs: Path, refuse: Refuse) -> None:
    refuse(2, command, run, "--runs", runs, says=("curves/trials/0000",))


@pytest.mark.parametrize("command", ["leaderboard", "status", "retrain-best", "mirror", "submit"])
def test_without_any_study_it_is_said_how_to_begin_one(command: str, refuse: Refuse, tmp_path: Path) -> None:
    refuse(66, command, "--runs", tmp_path / "nowhere", says=(str(tmp_path / "nowhere"), "orchestrate "))


def test_a_run_that_no_number_names(runs: Path, refuse: Refuse) -> None:
    refuse(2, "retrain", "curves/²", "--runs", runs, says=("unknown run 'curves/²'",))
