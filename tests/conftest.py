"""Fixtures that several test files share."""

import atexit
import fcntl
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import torch

# As workers do, and read when torch is first imported, after this: the threads of this process share cores with those of others.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:  # test processes beside each other share the cores evenly
    _cores = len(os.sched_getaffinity(0)) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, _cores)))

# Where commands remember the runs folder of a working directory: never the user's own state folder.
STATE = tempfile.TemporaryDirectory(prefix="orchestrate-state-")
os.environ["XDG_STATE_HOME"] = STATE.name
atexit.register(STATE.cleanup)

# Nor what they set as defaults of commands.
for _name in [name for name in os.environ if name.startswith("ORCHESTRATE_")]:
    del os.environ[_name]

ROOT = Path(__file__).resolve().parent.parent
MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30  # bytes that a whole run of the tests may need for its files
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
    os.environ.setdefault(
        "PYTEST_DEBUG_TEMPROOT", str(MEMORY)
    )  # studies sync what they write, which takes milliseconds on a disk
UNPACK = ROOT.parent / "shared" / "tools" / "unpack_cifar100.py"


gc.disable()  # until all is imported: looking for garbage among it takes a tenth of the time


def pytest_collection_finish() -> None:
    """Leave what was imported out of garbage collections: torch and its kind have millions of objects, none of them garbage."""
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the interpreter collect them at its end, else libraries report all of them as leaked."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def cifar100_folder() -> Path:
    """A data folder that holds the real CIFAR-100, unpacked once and kept in the checkout's cache."""
    if not UNPACK.is_file():
        pytest.skip(f"needs the real CIFAR-100, which {UNPACK} unpacks; it is not there")
    cache = ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    folder = cache / "cifar100"
    with (cache / "cifar100.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test process may be unpacking it now
        subprocess.run([sys.executable, UNPACK, folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def photographs(cifar100_folder: Path) -> "torch.Tensor":
    """The first 64 training images of CIFAR-100: uint8 64×3×32×32."""
    import torch

    from orchestrator import plugins

    return torch.from_numpy(plugins.dataset("cifar100").load(cifar100_folder, "train").images[:64])


@pytest.fixture(autouse=True)
def state_folder(monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state folder for each test, so that none hears of the runs folder of another."""
    folder = Path(STATE.name) / uuid.uuid4().hex
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk in memory, where there is one: hundreds of trials write thousands of files, each of them synced."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as folder:
        yield Path(folder)
