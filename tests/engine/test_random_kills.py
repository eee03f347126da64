"""Twenty times `kill -9`, of the conductor, of workers and of both, at random: the study ends as one left alone."""

import random
import time
from pathlib import Path

import pytest

from orchestrator.record import Kind, Status
from tests.helpers.in_process_study import results
from tests.helpers.study_invariants import assert_readable, assert_whole, study_in
from tests.helpers.subprocess_cli import start, wait_for, workers_of

pytestmark = pytest.mark.slow

PLAN = "slow_checkpointed_curves"
TRIALS = 40
KILLS = 20
LONGEST = 0.8  # seconds of work before a kill


def words(tmp_path: Path) -> list[str | Path]:
    return ["study", PLAN, "--trials", str(TRIALS), "--runs", tmp_path / "runs", "--data-dir", tmp_path, "--mirror", "off"]


def test_twenty_kills(tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    undisturbed = start(*words(alone))
    folder, chosen = study_in(tmp_path, PLAN), random.Random(20)
    conductor = start(*words(tmp_path))
    enough = 0
    for _ in range(KILLS):
        wait_for_progress(tmp_path, enough)
        time.sleep(chosen.uniform(0.0, LONGEST))
        assert conductor.poll() is None, "the study was over before it was killed often enough"
        who = chosen.choice(["conductor", "workers", "both"])
        if who != "conductor":
            for worker in workers_of(conductor.pid):
                worker.kill()
            enough = finished(tmp_path) + 1  # a trial whose workers die three times is rightly given up
        if who != "workers":
            conductor.kill()
            conductor.communicate()
            assert_readable(folder)
            assert sum(record.status is Status.RUNNING for record in folder.runs(Kind.TRIAL)) <= 1
            conductor = start(*words(tmp_path))
    _, messages = conductor.communicate(timeout=300)
    assert conductor.returncode == 0, messages
    _, messages = undisturbed.communicate(timeout=300)
    assert undisturbed.returncode == 0, messages
    assert_whole(folder, TRIALS)
    assert results(folder) == results(study_in(alone, PLAN))
    assert not list(folder.path.rglob("*.part"))


def wait_for_progress(tmp_path: Path, enough: int) -> None:
    """Until an epoch more or less is recorded, and so many trials are finished."""
    before = measured(tmp_path)
    wait_for(lambda: measured(tmp_path) != before, "an epoch")
    wait_for(lambda: finished(tmp_path) >= enough, "the end of a trial")


def measured(tmp_path: Path) -> int:
    """Bytes of epochs that are recorded now."""
    return sum(file.stat().st_size for file in tmp_path.glob("runs/*/trials/*/epochs.jsonl"))


def finished(tmp_path: Path) -> int:
    return sum('"status": "RUNNING"' not in file.read_text() for file in tmp_path.glob("runs/*/trials/*/record.json"))
