"""Real processes, really killed: the same command resumes, and the study has exactly its trials."""

import os
import signal
import sqlite3
import time
from pathlib import Path

import psutil
import pytest

from orchestrator.record import Kind, Status
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from tests.helpers.in_process_study import results
from tests.helpers.study_invariants import published
from tests.helpers.subprocess_cli import ended, run, start, wait_for, workers_of
from tests.helpers.wandb_files import read_folder

PLAN = "slow_curves"
TRIALS = 7


def study(tmp_path: Path) -> StudyFolder:
    return RunsFolder(tmp_path / "runs").study(PLAN)


def finished(tmp_path: Path) -> int:
    return sum('"status": "RUNNING"' not in file.read_text() for file in (tmp_path / "runs").glob("*/trials/*/record.json"))


def under_way(folder: Path) -> int:
    return sum(record.status is Status.RUNNING for record in study(folder).runs())


def words(tmp_path: Path, *more: str) -> list[str | Path]:
    return ["study", PLAN, "--trials", str(TRIALS), "--runs", tmp_path / "runs", "--data-dir", tmp_path, *more]


def assert_whole(tmp_path: Path, trials: int = TRIALS) -> None:
    """Exactly so many finished trials, none RUNNING, none twice, and the copies say the same."""
    folder = study(tmp_path)
    records = folder.runs(Kind.TRIAL)
    assert [record.number for record in records] == list(range(trials))
    assert all(record.status.finished for record in records)
    assert len({record.recipe.configuration() for record in records}) == trials
    for record in records:
        numbers = [epoch.number for epoch in folder.folder(record).epochs()]
        assert numbers == list(range(1, record.epochs + 1))
    with published(PLAN, f"sqlite:///{tmp_path / 'runs' / 'optuna.db'}") as copy:
        trials_there = copy.trials
    states = {Status.COMPLETE: "COMPLETE", Status.PRUNED: "PRUNED", Status.FAILED: "FAIL"}
    assert [trial.state.name for trial in trials_there] == [states[record.status] for record in records]
    for trial, record in zip(trials_there, records, strict=True):
        assert sorted(trial.intermediate_values) == list(range(1, record.epochs + 1))
        assert trial.params == {name: record.recipe.params[name] for name in trials_there[0].distributions}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    """What the undisturbed study finds."""
    tmp_path = tmp_path_factory.mktemp("alone")
    run(*words(tmp_path, "--mirror", "off"))
    assert_whole(tmp_path)
    return results(study(tmp_path))


@pytest.mark.slow
def test_the_conductor_is_killed_and_the_same_command_carries_on(tmp_path: Path, alone: list[tuple[object, ...]]) -> None:
    conductor = start(*words(tmp_path))
    # In the middle of the fourth, not in the moment between the two.
    wait_for(lambda: finished(tmp_path) >= 3 and under_way(tmp_path) == 1, "the trial after the third")
    workers = workers_of(conductor.pid)
    everyone = psutil.Process(conductor.pid).children(recursive=True)
    assert workers
    conductor.kill()
    killed = time.monotonic()
    conductor.communicate()
    wait_for(lambda: all(map(ended, workers)), "the end of the workers", 2.0)
    wait_for(lambda: all(map(ended, everyone)), "the end of the observers", 5.0)
    assert time.monotonic() - killed < 7.0
    assert under_way(tmp_path) == 1
    _, messages = run(*words(tmp_path))
    assert "resumed with 3 finished trials" in messages or "resumed with 4 finished trials" in messages
    assert_whole(tmp_path)
    assert results(study(tmp_path)) == alone
    mirrored = read_folder(study(tmp_path).path)
    assert len(mirrored) == TRIALS
    for record in study(tmp_path).runs():
        (copy,) = [run for run in mirrored.values() if run.name.endswith(f"t{record.number:04d}")]
        assert [row["epoch"] for row in copy.rows()] == list(range(1, record.epochs + 1))


@pytest.mark.slow
def test_a_worker_is_killed_and_the_study_does_not_notice(tmp_path: Path, alone: list[tuple[object, ...]]) -> None:
    conductor = start(*words(tmp_path, "--mirror", "off"))
    for _ in range(2):
        done = finished(tmp_path)
        wait_for(lambda done=done: finished(tmp_path) > done, "another trial")  # type: ignore[misc]  # bound on purpose
        for worker in workers_of(conductor.pid):
            worker.kill()
    _, messages = conductor.communicate(timeout=120)
    assert conductor.returncode == 0, messages
    assert "retry 1 of 2" in messages
    assert_whole(tmp_path)
    assert results(study(tmp_path)) == alone


@pytest.mark.slow
def test_conductor_and_worker_are_killed_again_and_again(tmp_path: Path, alone: list[tuple[object, ...]]) -> None:
    for kills in range(3):
        conductor = start(*words(tmp_path, "--mirror", "off"))
        wait_for(lambda kills=kills: finished(tmp_path) > kills, "another trial")  # type: ignore[misc]  # bound on purpose
        time.sleep(0.07 * kills)
        for worker in workers_of(conductor.pid)[: kills % 2]:
            worker.kill()
        conductor.kill()
        conductor.communicate()
    run(*words(tmp_path, "--mirror", "off"))
    assert_whole(tmp_path)
    assert results(study(tmp_path)) == alone


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code", "says"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_asked_to_stop_it_says_how_to_go_on(
    tmp_path: Path, alone: list[tuple[object, ...]], number: int, code: int, says: str
) -> None:
    conductor = start(*words(tmp_path))
    wait_for(lambda: finished(tmp_path) >= 2, "the second trial")
    children = psutil.Process(conductor.pid).children(recursive=True)
    os.kill(conductor.pid, number)
    asked = time.monotonic()
    _, messages = conductor.communicate(timeout=30)
    assert conductor.returncode == code
    assert time.monotonic() - asked <= 5.0
    assert says in messages
    assert "run the same command to resume" in messages
    assert "Traceback" not in messages
    wait_for(lambda: all(map(ended, children)), "the end of all children", 2.0)
    run(*words(tmp_path))
    assert_whole(tmp_path)
    assert results(study(tmp_path)) == alone


@pytest.mark.slow
def test_a_second_conductor_is_refused_and_told_who_has_the_study(tmp_path: Path) -> None:
    conductor = start(*words(tmp_path, "--mirror", "off"))
    wait_for(lambda: finished(tmp_path) >= 1, "the first trial")
    _, messages = run(*words(tmp_path, "--mirror", "off"), code=75)
    assert f"process {conductor.pid} on" in messages
    conductor.communicate(timeout=120)
    assert conductor.returncode == 0
    assert_whole(tmp_path)


@pytest.mark.slow
def test_a_worker_that_is_still_loading_dies_with_its_conductor(tmp_path: Path) -> None:
    conductor = start(*words(tmp_path, "--mirror", "off"))
    wait_for(lambda: bool(workers_of(conductor.pid)), "a worker")
    workers = workers_of(conductor.pid)
    conductor.kill()
    conductor.communicate()
    wait_for(lambda: all(map(ended, workers)), "the end of the workers", 2.0)


@pytest.mark.slow
def test_a_broken_mirror_costs_a_warning_and_nothing_else(
    tmp_path: Path, alone: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken" / "wandb"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('W&B is not installed')")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    _, messages = run(*words(tmp_path))
    assert "warning: " in messages
    assert "orchestrate mirror slow_curves" in messages
    assert_whole(tmp_path)
    assert results(study(tmp_path)) == alone
    monkeypatch.delenv("PYTHONPATH")
    run("mirror", "--runs", tmp_path / "runs")
    assert len(read_folder(study(tmp_path).path)) == TRIALS


@pytest.mark.slow
def test_a_retrain_is_killed_and_carried_on(tmp_path: Path) -> None:
    run(*words(tmp_path, "--mirror", "off"))
    again: list[str | Path] = ["retrain-best", "--runs", tmp_path / "runs", "--data-dir", tmp_path, "--mirror", "off"]
    retrain = start(*again)
    wait_for(lambda: any((tmp_path / "runs").glob("*/retrain/*/epochs.jsonl")), "an epoch of the retrain")
    retrain.kill()
    retrain.communicate()
    _, messages = run(*again)
    assert "resumed" in messages
    (record,) = study(tmp_path).runs(Kind.RETRAIN)
    assert (record.status, record.epochs) == (Status.COMPLETE, 12)
    assert record.test is not None
    _, messages = run(*again)
    assert "trained already" in messages


@pytest.mark.slow
def test_the_published_copy_is_locked_by_another_process_for_a_while(tmp_path: Path, alone: list[tuple[object, ...]]) -> None:
    conductor = start(*words(tmp_path, "--mirror", "off"))
    wait_for(lambda: finished(tmp_path) >= 1, "the first trial")
    with sqlite3.connect(tmp_path / "runs" / "optuna.db", timeout=30) as database:
        database.execute("BEGIN EXCLUSIVE")
        time.sleep(2.0)
        database.rollback()
    database.close()
    _, messages = conductor.communicate(timeout=120)
    assert conductor.returncode == 0, messages
    assert_whole(tmp_path)
    assert results(study(tmp_path)) == alone
