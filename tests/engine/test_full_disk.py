"""A disk that is really full in the middle of a study: it ends with 74 and a message, and is resumed when there is room."""

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.record import Status
from tests.helpers.in_process_study import results
from tests.helpers.study_invariants import assert_readable, assert_whole, study_in
from tests.helpers.subprocess_cli import run, start, wait_for, workers_of

pytestmark = pytest.mark.slow

PLAN = "slow_curves"
TRIALS = 7
PAGE = 4096  # bytes
DISK = 1024 * PAGE
Words = list[str | Path]


def words(tmp_path: Path) -> Words:
    return ["study", PLAN, "--trials", str(TRIALS), "--runs", tmp_path / "runs", "--data-dir", tmp_path, "--mirror", "off"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    """What the study finds when nothing is full."""
    tmp_path = tmp_path_factory.mktemp("alone")
    run(*words(tmp_path))
    return results(study_in(tmp_path, PLAN))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, 4 MiB large."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    done = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"needs the right to mount a file system: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leaving: int) -> Path:
    """Leave so many pages of the disk."""
    filler = folder / "filler"
    with filler.open("wb") as stream:
        free = os.statvfs(folder).f_bavail - leaving
        os.posix_fallocate(stream.fileno(), 0, max(free, 1) * PAGE)
    return filler


@pytest.mark.parametrize("leaving", [0, 4])
def test_a_small_disk_that_fills_up(leaving: int, small_disk: Path, tmp_path: Path, alone: list[tuple[object, ...]]) -> None:
    conductor = start(*words(small_disk))
    wait_for(lambda: any(small_disk.glob("runs/*/trials/0001/epochs.jsonl")), "the second trial")
    filler = fill(small_disk, leaving)
    _, messages = conductor.communicate(timeout=120)
    assert conductor.returncode == 74, messages
    (error,) = [line for line in messages.splitlines() if line.startswith("error: ")]
    assert "No space left on device" in error
    assert "Traceback" not in messages
    folder = study_in(small_disk, PLAN)
    assert_readable(folder)
    run(*words(small_disk), code=74)  # still full: no other end, and no harm
    filler.unlink()
    run(*words(small_disk))
    assert_whole(folder, TRIALS)
    assert results(folder) == alone
    assert not list(folder.path.rglob("*.part"))


@pytest.mark.parametrize(("who", "limit"), [("conductor", 700), ("worker", 500)])
def test_files_that_may_not_grow(who: str, limit: int, tmp_path: Path, alone: list[tuple[object, ...]]) -> None:
    """`limit`, in bytes, holds for the files that this process writes from the second trial on."""
    conductor = start(*words(tmp_path))
    wait_for(lambda: any(tmp_path.glob("runs/*/trials/0001/epochs.jsonl")), "the second trial")
    process = conductor.pid if who == "conductor" else workers_of(conductor.pid)[0].pid
    resource.prlimit(process, resource.RLIMIT_FSIZE, (limit, limit))
    limited = time.monotonic()
    _, messages = conductor.communicate(timeout=120)
    assert conductor.returncode == 74, messages
    assert time.monotonic() - limited < 30.0
    (error,) = [line for line in messages.splitlines() if line.startswith("error: ")]
    assert "File too large" in error
    folder = study_in(tmp_path, PLAN)
    assert_readable(folder)
    assert [record.status for record in folder.runs()][:1] == [Status.COMPLETE]
    run(*words(tmp_path))
    assert_whole(folder, TRIALS)
    assert results(folder) == alone
    assert not list(folder.path.rglob("*.part"))
