"""A study whose checkpoint was damaged on the disk finds what an undisturbed one finds, whichever byte it was."""

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from tests.helpers.in_process_study import Interrupted, PowerCut, conduct, results
from tests.helpers.paths import PLUGINS

TRIALS = 3
FLIPS = 200
MEMORY = Path("/dev/shm")

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk in memory, where there is one."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


def study(folder: Path) -> StudyFolder:
    return RunsFolder(folder / "runs").known("curves")


def test_each_of_two_hundred_flipped_bytes_is_told_and_costs_no_result(quick: Path) -> None:
    conduct(quick / "alone", TRIALS)
    alone = results(study(quick / "alone"))
    with pytest.raises(PowerCut):
        conduct(quick / "cut", TRIALS, executor=Interrupted(quick / "cut", 9), checkpoint_share=1.0)
    (record,) = study(quick / "cut").runs()
    whole = study(quick / "cut").folder(record).last_checkpoint.read_bytes()
    draw = random.Random(0)
    for position in draw.sample(range(len(whole)), FLIPS):
        folder = quick / "damaged"
        shutil.copytree(quick / "cut", folder)
        damaged = bytearray(whole)
        damaged[position] ^= 1 << draw.randrange(8)
        study(folder).folder(record).last_checkpoint.write_bytes(damaged)
        said: list[str] = []
        conduct(folder, TRIALS, say=said.append)
        assert any("damaged" in line and "from the beginning" in line for line in said), position
        assert results(study(folder)) == alone, position
        shutil.rmtree(folder)


def test_a_paused_trial_whose_checkpoint_is_damaged_is_trained_again(quick: Path) -> None:
    conduct(quick / "alone", 2 * TRIALS, pruner="promote")
    alone = results(study(quick / "alone"))
    conduct(quick / "twice", TRIALS, pruner="promote")
    for record in study(quick / "twice").runs():
        last = study(quick / "twice").folder(record).last_checkpoint
        if last.is_file():
            last.write_bytes(last.read_bytes()[:-7])
    conduct(quick / "twice", 2 * TRIALS)
    again = results(study(quick / "twice"))
    assert [(result[0], result[2]) for result in again][:TRIALS] == [(result[0], result[2]) for result in alone][:TRIALS]
    for one, other in zip(again, alone, strict=True):
        shared = min(len(one[5]), len(other[5]))
        assert one[2] != other[2] or one[5][:shared] == other[5][:shared]  # the same recipe, the same epochs
