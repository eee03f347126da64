"""A real process is killed at every named point, and the same command resumes to what it would have found undisturbed."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.record import Kind, RunRecord, Status
from orchestrator.support.fault_injection import VARIABLE, CrashPoint
from tests.helpers.in_process_study import results, without_time
from tests.helpers.study_invariants import assert_readable, assert_whole, study_in
from tests.helpers.subprocess_cli import run, start, wait_for

PLAN = "checkpointed_curves"
TRIALS = 7
Words = list[str | Path]

# The same command, killed at one crash point after the other: which, and when it is reached for which time in the session.
CONDUCTORS = {
    "at the beginning": [
        (CrashPoint.STUDY_ASIDE, 1),
        (CrashPoint.STUDY_RENAMED, 1),
        (CrashPoint.RECORD_ASIDE, 1),
        (CrashPoint.RECORD_RENAMED, 1),
        (CrashPoint.JOB_SENT, 1),
        (CrashPoint.EPOCH_RECORDED, 1),
        (CrashPoint.END_HEARD, 1),
    ],
    "in the midst": [
        (CrashPoint.JOB_SENT, 2),
        (CrashPoint.RECORD_RENAMED, 15),
        (CrashPoint.EPOCHS_ASIDE, 1),
        (CrashPoint.EPOCHS_RENAMED, 1),
        (CrashPoint.EPOCH_RECORDED, 5),
        (CrashPoint.EPOCH_HEARD, 7),
        (CrashPoint.END_RECORDED, 2),
    ],
    "at the end": [(CrashPoint.END_RECORDED, 4), (CrashPoint.RECORD_ASIDE, 20), (CrashPoint.END_HEARD, 1)],
    "after the end": [(CrashPoint.END_RECORDED, TRIALS)],
}
WORKERS = [
    (CrashPoint.IN_EPOCH, 1),
    (CrashPoint.IN_EPOCH, 20),
    (CrashPoint.EPOCH_TRAINED, 8),
    (CrashPoint.EPOCH_TRAINED, 19),
    (CrashPoint.LAST_ASIDE, 10),
    (CrashPoint.LAST_RENAMED, 10),
    (CrashPoint.BEST_ASIDE, 2),
    (CrashPoint.BEST_RENAMED, 2),
]
# The worker of a retrain trains ahead of its conductor: after a kill no epoch may be left.
RETRAINS = {
    "the conductor": [
        (CrashPoint.EPOCH_RECORDED, 5),
        (CrashPoint.END_HEARD, 1),
        (CrashPoint.END_RECORDED, 1),
        (CrashPoint.RETRAINED, 1),
        (CrashPoint.SUBMISSION_ASIDE, 1),
    ],
    "a worker in an epoch": [(CrashPoint.IN_EPOCH, 5)],
    "a worker before it says that it saved": [(CrashPoint.LAST_RENAMED, 7)],
    "a worker before it says that it finished": [(CrashPoint.BEST_RENAMED, 1)],
    "a worker that has measured the test set": [(CrashPoint.TEST_MEASURED, 1)],
}
ELSEWHERE = [
    *(CrashPoint.STATE_LOADED, CrashPoint.PAUSE_ASKED, CrashPoint.PAUSING),  # each has a test of its own below
    # in tests/submission/test_submission.py
    *(CrashPoint.SUBMISSION_REMOVED, CrashPoint.CLASSES_RENAMED, CrashPoint.IMAGES_RENAMED),
]


def crash(tmp_path: Path, point: CrashPoint, count: int) -> dict[str, str]:
    return {VARIABLE: f"{tmp_path}|{point}|{count}"}


def words(tmp_path: Path, *more: str) -> Words:
    common: Words = ["--runs", tmp_path / "runs", "--data-dir", tmp_path, "--mirror", "off"]
    return ["study", PLAN, "--trials", str(TRIALS), *common, *more]


def retrain_words(tmp_path: Path) -> Words:
    return ["retrain-best", PLAN, "--runs", tmp_path / "runs", "--data-dir", tmp_path, "--mirror", "off"]


def crashed(tmp_path: Path, command: Words, point: CrashPoint, count: int) -> bool:
    """Run a command that is to crash at a point. Returns whether it died of that itself; else one of its workers did."""
    process = start(*command, variables=crash(tmp_path, point, count))
    _, messages = process.communicate(timeout=300)
    assert (tmp_path / point).exists(), f"{point!r} was not reached {count} times:\n{messages}"
    assert process.returncode in (0, -signal.SIGKILL), messages
    if process.returncode == 0:
        assert "was killed by signal 9; retry 1 of 2" in messages
    return process.returncode != 0


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed study."""
    tmp_path = tmp_path_factory.mktemp("alone")
    run(*words(tmp_path))
    assert_whole(study_in(tmp_path, PLAN), TRIALS)
    return tmp_path


@pytest.fixture(scope="module")
def alone_retrained(alone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with the retrain of its best trial."""
    tmp_path = tmp_path_factory.mktemp("retrained")
    shutil.copytree(alone / "runs", tmp_path / "runs")
    run(*retrain_words(tmp_path))
    return tmp_path


def found(tmp_path: Path) -> Sequence[tuple[Any, ...]]:
    return results(study_in(tmp_path, PLAN))


def retrained(tmp_path: Path) -> tuple[Any, ...]:
    """What a retrain came to, without times, attempts and hosts."""
    folder = study_in(tmp_path, PLAN)
    (record,) = folder.runs(Kind.RETRAIN)
    run_folder = folder.folder(record)
    epochs = tuple(map(without_time, run_folder.epochs()))
    assert record.status is Status.COMPLETE
    assert record.test is not None
    assert [epoch.number for epoch in epochs] == list(range(1, record.epochs + 1))
    return record.recipe, record.best, record.test, epochs, run_folder.submission.read_bytes()


def assert_finished_as(records: Sequence[RunRecord], before: Sequence[tuple[Any, ...]], alone: Path) -> None:
    """What is finished in the middle of things is finished for good."""
    undisturbed = found(alone)
    for record, result in zip(records, before, strict=True):
        assert not record.status.finished or result == undisturbed[record.number]


@pytest.mark.slow
def test_a_conductor_that_crashes_before_an_end_is_recorded(tmp_path: Path, alone: Path) -> None:
    check_conductor([(CrashPoint.END_HEARD, TRIALS - 1)], tmp_path, alone)


@pytest.mark.slow
@pytest.mark.parametrize("when", CONDUCTORS)
def test_a_conductor_that_crashes_again_and_again(when: str, tmp_path: Path, alone: Path) -> None:
    check_conductor(CONDUCTORS[when], tmp_path, alone)


def check_conductor(places: Sequence[tuple[CrashPoint, int]], tmp_path: Path, alone: Path) -> None:
    folder = study_in(tmp_path, PLAN)
    for point, count in places:
        assert crashed(tmp_path, words(tmp_path), point, count)
        assert_readable(folder)
        assert_finished_as(folder.runs(Kind.TRIAL), found(tmp_path), alone)
        (tmp_path / point).unlink()
    run(*words(tmp_path))
    assert_as(alone, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("point", "count"), WORKERS)
def test_a_worker_that_crashes(point: CrashPoint, count: int, tmp_path: Path, alone: Path) -> None:
    assert not crashed(tmp_path, words(tmp_path), point, count)
    assert_as(alone, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("who", RETRAINS)
def test_a_retrain_that_crashes(who: str, tmp_path: Path, alone: Path, alone_retrained: Path) -> None:
    shutil.copytree(alone / "runs", tmp_path / "runs")
    for point, count in RETRAINS[who]:
        crashed(tmp_path, retrain_words(tmp_path), point, count)
    if who == "the conductor":
        run(*retrain_words(tmp_path))
    assert retrained(tmp_path) == retrained(alone_retrained)
    assert not list((tmp_path / "runs").rglob("*.part"))


@pytest.mark.slow
def test_a_trial_that_was_interrupted_crashes_again_while_it_is_resumed(tmp_path: Path, alone: Path) -> None:
    assert crashed(tmp_path, words(tmp_path), CrashPoint.EPOCH_HEARD, 20)
    assert not crashed(tmp_path, words(tmp_path), CrashPoint.STATE_LOADED, 1)
    assert_as(alone, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("point", [CrashPoint.PAUSE_ASKED, CrashPoint.PAUSING])
def test_a_pause_that_crashes(point: CrashPoint, tmp_path: Path, alone: Path) -> None:
    slow: Words = ["slow_checkpointed_curves" if word == PLAN else word for word in words(tmp_path)]
    conductor = start(*slow, "--study", PLAN, variables=crash(tmp_path, point, 1))
    wait_for(lambda: any((tmp_path / "runs").glob("*/trials/0002/epochs.jsonl")), "the third trial")
    run("stop", PLAN, "--runs", tmp_path / "runs")
    _, messages = conductor.communicate(timeout=120)
    assert (tmp_path / point).exists(), messages
    assert conductor.returncode == (-signal.SIGKILL if point is CrashPoint.PAUSE_ASKED else 0), messages
    folder = study_in(tmp_path, PLAN)
    assert_readable(folder)
    run(*slow, "--study", PLAN)
    assert_whole(folder, TRIALS)
    assert [result[3:] for result in found(tmp_path)] == [result[3:] for result in found(alone)]


def assert_as(alone: Path, tmp_path: Path) -> None:
    """The study is whole, and what it would have been undisturbed; nothing half-written is left."""
    folder = study_in(tmp_path, PLAN)
    assert_whole(folder, TRIALS)
    assert found(tmp_path) == found(alone)
    assert not list(folder.path.rglob("*.part"))


def test_every_point_is_crashed_at() -> None:
    chains = [*CONDUCTORS.values(), *RETRAINS.values(), WORKERS]
    assert {point for chain in chains for point, _ in chain} | {*ELSEWHERE} == {*CrashPoint}


def test_a_crash_that_no_point_has_is_refused_and_none_is_the_default(tmp_path: Path) -> None:
    program = "from orchestrator.support.fault_injection import *; check_variable(); reached(CrashPoint.JOB_SENT); print('alive')"

    def code(text: str) -> int:
        child = subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, VARIABLE: text}, capture_output=True, text=True, check=False
        )
        assert ("alive" in child.stdout) == (child.returncode == 0)
        return child.returncode

    assert code("") == 0
    assert code(f"{tmp_path}|job sent|2") == 0
    assert code(f"{tmp_path}|job send|1") == 1
    assert code(f"{tmp_path}|job sent|1") == -signal.SIGKILL
    assert code(f"{tmp_path}|job sent|1") == 0  # there was one already
