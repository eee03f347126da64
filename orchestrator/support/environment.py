"""What this machine is and has: devices, cores, versions, and the commit that is checked out."""

import functools
import importlib.metadata
import os
import platform
import socket
import subprocess
from pathlib import Path

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
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
