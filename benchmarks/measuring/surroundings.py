"""Where and with what the figures were measured."""

import platform
from pathlib import Path
from typing import Any

import psutil

from orchestrator.support import environment

ROOT = Path(__file__).resolve().parents[2]


def surroundings() -> dict[str, Any]:
    """The machine, the versions and the commit, and how busy the machine is before anything is measured."""
    commit, dirty = environment.commit(ROOT)
    return {
        "processor": _processor(),
        "cores": environment.cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.system(),
        "versions": dict(environment.versions()),
        "commit": commit,
        "uncommitted_changes": dirty,
        "load_before": round(psutil.getloadavg()[0], 2),  # processes that ran or waited, mean of a minute
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
