"""A study that was stopped or killed, and resumed, asks for the same recipes as one left alone: one worker, same seed."""

import itertools
import random
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.record import Kind, Status
from orchestrator.scheduling.optuna_pruners import PRUNERS
from orchestrator.search.samplers import SAMPLERS
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.fault_injection import VARIABLE, CrashPoint
from tests.helpers.in_process_study import Interrupted, PowerCut, conduct, results
from tests.helpers.paths import PLUGINS
from tests.helpers.subprocess_cli import run, start, wait_for

TRIALS = 50


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


def study(folder: Path, name: str = "curves") -> StudyFolder:
    return RunsFolder(folder / "runs").known(name)


# Own rungs with the sampler of most studies; all others take their time.
QUICK = {("promote", "tpe")}


def pairs() -> list[Any]:
    """Every pruner with every sampler."""
    return [
        pytest.param(pruner, sampler, marks=[] if (pruner, sampler) in QUICK else [pytest.mark.slow])
        for pruner, sampler in itertools.product(PRUNERS, SAMPLERS)
    ]


@pytest.mark.parametrize(("pruner", "sampler"), pairs())
def test_twenty_five_and_twenty_five_are_fifty(quick: Path, sampler: str, pruner: str) -> None:
    conduct(quick / "alone", TRIALS, sampler=sampler, pruner=pruner)
    conduct(quick / "twice", 25, sampler=sampler, pruner=pruner)
    conduct(quick / "twice", TRIALS)
    alone = results(study(quick / "alone"))
    assert results(study(quick / "twice")) == alone
    cut = random.Random(f"{sampler}/{pruner}")
    for _ in range(3):
        with pytest.raises(PowerCut):
            conduct(
                quick / "cut", TRIALS, sampler=sampler, pruner=pruner, executor=Interrupted(quick / "cut", cut.randint(20, 60))
            )
    conduct(quick / "cut", TRIALS)
    assert results(study(quick / "cut")) == alone
    assert pruner == "none" or any(record.status is Status.PRUNED for record in study(quick / "alone").runs())


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "pruner"), [("tpe", "promote"), ("tpe", "median"), ("tpe", "asha"), ("random", "hyperband")])
def test_a_study_that_was_killed_at_random_moments_asks_for_the_same(tmp_path: Path, sampler: str, pruner: str) -> None:
    folder = tmp_path / "killed"
    words = ("study", "curves", "--trials", str(TRIALS), "--sampler", sampler, "--pruner", pruner, "--mirror", "off")
    draw = random.Random(f"{sampler}/{pruner}")
    records = folder / "runs" / "curves" / "trials"
    for killed in range(4):
        conductor = start(*words, "--runs", folder / "runs", "--data-dir", folder / "data")
        reached = 10 * killed + draw.randint(1, 9)
        wait_for(lambda reached=reached: len(list(records.glob("*/record.json"))) >= reached, f"trial {reached}")  # type: ignore[misc]  # bound on purpose
        time.sleep(draw.uniform(0, 0.1))
        conductor.kill()
        conductor.communicate()
        assert conductor.returncode == -9
    conductor = start(*words, "--runs", folder / "runs", "--data-dir", folder / "data")
    _, messages = conductor.communicate(timeout=300)
    assert conductor.returncode == 0, messages
    conduct(tmp_path / "alone", TRIALS, sampler=sampler, pruner=pruner)
    assert results(study(folder)) == results(study(tmp_path / "alone"))
    assert len(study(folder).runs(Kind.TRIAL)) == TRIALS


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 4])
def test_what_was_killed_while_it_was_being_paused_does_not_train_past_its_rung(tmp_path: Path, count: int) -> None:
    """Its checkpoint is there and its pause is not recorded: the decision is made again, and must be waited for."""
    words = ("study", "curves", "--trials", "14", "--pruner", "promote", "--mirror", "off", "--data-dir", tmp_path)
    crashed = start(*words, "--runs", tmp_path / "runs", variables={VARIABLE: f"{tmp_path}|{CrashPoint.END_HEARD}|{count}"})
    _, messages = crashed.communicate(timeout=120)
    assert crashed.returncode == -9, messages
    at_work = [record for record in study(tmp_path).runs(Kind.TRIAL) if record.status is Status.RUNNING]
    assert [record.epochs for record in at_work] == [2]
    run(*words, "--runs", tmp_path / "runs")
    conduct(tmp_path / "alone", 14, pruner="promote")
    assert results(study(tmp_path)) == results(study(tmp_path / "alone"))
