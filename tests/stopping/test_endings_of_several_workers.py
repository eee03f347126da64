"""A session of two real workers that ends early: running trials are kept, and the command resumes as if left alone."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.record import Kind, Status
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from tests.helpers.in_process_study import conduct, results
from tests.helpers.paths import PLUGINS
from tests.helpers.subprocess_cli import run, start, wait_for

MANY = 1000  # trials that no session here comes to


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


def words(tmp_path: Path, trials: int = MANY) -> list[str | Path]:
    """Random search without pruning suggests by number alone, so that two workers must find what one finds."""
    search: list[str | Path] = ["--sampler", "random", "--pruner", "none", "--workers", "2"]
    return ["study", "slow_curves", "--trials", str(trials), *search, *places(tmp_path)]


def places(tmp_path: Path) -> list[str | Path]:
    return ["--runs", tmp_path / "runs", "--data-dir", tmp_path, "--mirror", "off"]


def ended_by(ending: str, tmp_path: Path) -> str:
    """The messages of a session that ends in this way."""
    if ending == "budget":  # of which 20 s are kept back for what follows
        return run(*words(tmp_path), "--budget", "38s")[1]
    if ending == "patience":
        return run(*words(tmp_path), "--patience", "6")[1]
    conductor = start(*words(tmp_path))
    wait_for(lambda: sum(record.epochs for record in study(tmp_path).runs(Kind.TRIAL)) > 20, "twenty epochs")
    run("stop", "slow_curves", "--runs", tmp_path / "runs")
    return messages_of(conductor)


def study(tmp_path: Path) -> StudyFolder:
    return RunsFolder(tmp_path / "runs").study("slow_curves")


def messages_of(conductor: "subprocess.Popen[str]") -> str:
    _, messages = conductor.communicate(timeout=60)
    assert conductor.returncode == 0, messages
    return messages


def numbers(folder: StudyFolder) -> list[tuple[Any, ...]]:
    """What was found, without how long an epoch of the trainer `curve` was told to take, and the plan that says so."""
    return [
        (number, status, replace(recipe, plan="", params={**recipe.params, "seconds": 0.0}), *others)
        for number, status, recipe, *others in results(folder)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "says"),
    [
        ("stop", "stopped by `orchestrate stop`"),
        ("budget", "of the budget of 38 s is used"),
        ("patience", "was not improved by the"),
    ],
)
def test_two_workers_end_early_and_go_on(ending: str, says: str, tmp_path: Path) -> None:
    messages = ended_by(ending, tmp_path)
    assert says in messages
    records = study(tmp_path).runs(Kind.TRIAL)
    assert 2 <= len(records) < MANY
    assert [record.number for record in records] == list(range(len(records)))
    under_way = [record for record in records if not record.status.finished]
    assert all(record.status is Status.PAUSED and record.suspended for record in under_way)
    # Without improvement both are completed; a stop and a used budget suspend both, except one that was in its last epoch.
    assert len(under_way) <= (0 if ending == "patience" else 2)
    for record in records:
        epochs = study(tmp_path).folder(record).epochs()
        assert [epoch.number for epoch in epochs] == list(range(1, record.epochs + 1))
    more = len(records) + 4
    run(*words(tmp_path, more))
    conduct(tmp_path / "alone", more, sampler="random", pruner="none")
    assert numbers(study(tmp_path)) == numbers(RunsFolder(tmp_path / "alone" / "runs").known("curves"))
    assert sum(record.attempt for record in study(tmp_path).runs(Kind.TRIAL)) == more + len(under_way)
