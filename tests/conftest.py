"""Fixtures that several test files share."""

import fcntl
import os
import subprocess
import sys
import tempfile
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

ROOT = Path(__file__).resolve().parent.parent
MEMORY = Path("/dev/shm")
UNPACK = ROOT.parent / "shared" / "tools" / "unpack_cifar100.py"


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


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk in memory, where there is one: hundreds of trials write thousands of files, each of them synced."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as folder:
        yield Path(folder)
