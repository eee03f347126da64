"""What this machine is and has: devices, cores, versions, and the commit that is checked out."""

import contextlib
import functools
import importlib.metadata
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# Variables that change the numbers of a run on the same device, and that are obeyed: the record says which were set.
_CHANGE_NUMBERS = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "PYTORCH_TUNABLEOP_ENABLED",
    "TORCH_BLAS_PREFER_CUBLASLT",
)
# Variables that would make a record untrue, which says float32 or TF32, or a sound checkpoint unreadable.
_REMOVED = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
_WIDTH = "COLUMNS"
# Of the repository that git itself, a hook of it for instance, works on: another one than is asked about.
_OF_A_REPOSITORY = (
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
)
_PACKAGES = ("torch", "torchvision", "numpy", "optuna", "wandb", "sweep-conductor")


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


@functools.cache
def versions() -> dict[str, str]:
    """Python and the packages whose version may change a number."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def switches() -> dict[str, str]:
    """The variables of this process that change the numbers of a run, with their values; what is no UTF-8 in them is escaped."""
    found = {name: os.environ.get(name, "") for name in _CHANGE_NUMBERS}
    return {name: text.encode(errors="backslashreplace").decode() for name, text in found.items() if text}


def remove_switches() -> None:
    """Remove from this process, and from those that it starts, variables that would make a record untrue.

    Also a width of the terminal that is no number, on which libraries fail. To be called before torch is imported, which reads
    them.
    """
    for name in _REMOVED:
        os.environ.pop(name, None)
    if not re.fullmatch("[1-9][0-9]{0,8}", os.environ.get(_WIDTH, "1")):
        del os.environ[_WIDTH]


@contextlib.contextmanager
def without_switches() -> Iterator[None]:
    """The same for a while: what was removed is put back, and what Ray was told by us is taken away."""
    before = {name: value for name, value in os.environ.items() if _is_changed(name)}
    remove_switches()
    try:
        yield
    finally:
        for name in filter(_is_changed, list(os.environ)):
            if name not in before:
                del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def no_bytecode_written() -> Iterator[None]:
    """While this is open, Python writes nothing beside the modules that it imports."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _is_changed(name: str) -> bool:
    return name in _REMOVED or name.startswith("RAY_")


def commit(folder: Path) -> tuple[str, bool]:
    """The commit checked out around `folder`, and whether there are uncommitted changes; ("", False) outside a checkout."""
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return head, bool(_git(folder, "status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return "", False


def _git(folder: Path, *words: str) -> str:
    # Without optional locks: killed in the middle, git would leave an index.lock in the user's checkout.
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    environment = {name: value for name, value in os.environ.items() if name not in _OF_A_REPOSITORY}
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10, env=environment).stdout.strip()
