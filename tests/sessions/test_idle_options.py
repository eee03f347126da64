"""An option that would do nothing is refused, or said to: it is never ignored in silence."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.sessions.open_study import Request, open_study
from orchestrator.sessions.resources import Resources, start_workers
from orchestrator.sessions.stopping_rules import idle_limits
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_options import Limits
from orchestrator.support.clock import SystemClock
from tests.helpers.in_process_cli import call, refused
from tests.helpers.paths import PLUGINS

STUDY = "study curves --trials 3 --mirror off"


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)
    monkeypatch.delenv("ORCHESTRATE_STORAGE", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (f"{STUDY} --ray-address host:6379", "--ray-address would do nothing with --executor processes"),
        ("train curves --executor in-process --ray-address host:1", "--ray-address would do nothing with --executor in-process"),
        ("retrain curves/0 --ray-address auto", "unknown study"),  # the run comes first
        (f"{STUDY} --executor in-process --workers-per-device 2", "leave --workers-per-device out"),
        (f"{STUDY} --executor in-process --workers-per-device auto", "leave --workers-per-device out"),
        (f"{STUDY} --workers 2 --workers-per-device 2", "--workers 2 leaves nothing to --workers-per-device 2"),
        (f"{STUDY} --workers 1 --workers-per-device auto", "--workers 1 leaves nothing to --workers-per-device auto"),
        ("submit --check x.csv --partial", "--partial would do nothing with --check"),
        ("submit --check x.csv --ood-dir x", "--ood-dir would do nothing with --check"),
        ("submit --check x.csv --device cpu", "--device would do nothing with --check"),
        ("submit --check x.csv --runs x", "--runs would do nothing with --check"),
        ("submit part2/7 --check x.csv", "RUN would do nothing with --check"),
        ("submit part2/7 --dataset digits", "--dataset would do nothing without --check"),
        ("submit --dataset digits", "--dataset would do nothing without --check"),
        ("recipe curves --runs x", "--runs would do nothing for a recipe that is no run's"),
        (f"{STUDY} --trials 5", "--trials is given twice"),
        (f"{STUDY} --mirror offline", "--mirror is given twice"),
        ("leaderboard --format csv --format=json", "--format is given twice"),
        ("submit --partial --partial", "--partial is given twice"),
        ("data verify digits --data-dir a --data-dir b", "--data-dir is given twice"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    words: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    named = "--runs" in words or words.startswith(("submit", "data", "leaderboard"))
    where: list[str | Path] = [] if named else ["--runs", tmp_path / "runs"]
    refused(capsys, 2, *words.split(), *where, says=(says,))
    assert not (tmp_path / "runs").exists()


def test_the_address_in_the_environment_is_no_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "host:6379")
    assert Resources(runs=tmp_path).ray_address == ""
    assert Resources(runs=tmp_path, executor="ray").address == "host:6379"
    assert Resources(runs=tmp_path, executor="ray", ray_address="other:1").address == "other:1"
    with pytest.raises(InvalidInput, match="--ray-address would do nothing"):
        Resources(runs=tmp_path, ray_address="other:1")


def test_with_ray_both_numbers_have_an_effect(tmp_path: Path) -> None:
    assert Resources(runs=tmp_path, executor="ray", workers="4", workers_per_device="2").per_device == 2


def test_a_single_run_says_that_it_has_one_worker(tmp_path: Path) -> None:
    said: list[str] = []
    folder = RunsFolder(tmp_path).study("train")
    with start_workers(Resources(runs=tmp_path, device="cpu", workers="2"), folder, said.append, single=True) as workers:
        assert workers.workers == 1
    assert said == ["note: one run has one worker, whatever --workers and --workers-per-device say"]


def test_a_limit_that_cannot_act_is_noted(tmp_path: Path) -> None:
    def notes(plan: str, patience: int | None, replicate: bool) -> list[str]:
        found = open_study(Request(plan=plan, trials=5), RunsFolder(tmp_path), None, SystemClock(), lambda line: None)
        return idle_limits(replace(found, file=replace(found.file, limits=Limits(patience=patience, replicate=replicate))))

    assert notes("curves", patience=4, replicate=False) == []
    assert notes("curves", patience=5, replicate=False) == ["note: --patience 5 cannot end a study of 5 trials early"]
    (note,) = notes("curves", patience=None, replicate=True)
    assert note.startswith("note: --replicate does nothing here")
    assert notes("six", patience=None, replicate=True) == []


def test_the_mirror_of_single_runs_cannot_be_off(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("--runs", tmp_path / "runs", "--mirror", "off")
    assert call(capsys, "train", "curves", "--epochs", "1", "--executor", "in-process", *words).code == 0
    refused(capsys, 2, "mirror", "train", *words, says=("--mirror off leaves nothing to do",))


def test_a_recipe_that_is_no_run_looks_at_no_runs_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("--runs", tmp_path / "runs", "--mirror", "off", "--executor", "in-process")
    assert call(capsys, "train", "curves", "--epochs", "1", *words).code == 0
    assert call(capsys, "recipe", "curves").messages == ""
    assert "using the runs folder" in call(capsys, "status").messages
