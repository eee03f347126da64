"""The command `orchestrate` as a process of its own, in the folder of the test plug-ins."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from tests.helpers.paths import PLUGINS

# A shell lets its background processes, and all that they start, ignore Ctrl-C; some of these tests are about it.
_PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from orchestrator.cli import main
main()
"""
SECONDS = 120.0  # to wait for anything at all


def start(*words: str | Path, folder: Path = PLUGINS, variables: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a command; its output and its messages can be read from it. `variables` are added to its environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "ORCHESTRATE_"))}
    return subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-c",
            _PROGRAM,
            *map(str, words),
        ],  # -P: as the installed command, which does not look here for packages
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**environment, **(variables or {})},
    )


def run(*words: str | Path, folder: Path = PLUGINS, code: int = 0, variables: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Run a command to its end. Returns what it wrote to stdout and to stderr."""
    process = start(*words, folder=folder, variables=variables)
    output, messages = process.communicate(timeout=300)
    assert process.returncode == code, f"exit code {process.returncode}, expected {code}:\n{output}\n{messages}"
    return output, messages


def wait_for(condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Wait until `condition` holds. Fails, saying `what` never came, after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)


def workers_of(conductor: int) -> list[psutil.Process]:
    """The worker processes of a conductor that live now."""
    return running_below(conductor, "executors.worker_process")


def running_below(process: int, module: str) -> list[psutil.Process]:
    """The processes below this one that run a module and live now."""
    found = []
    for child in psutil.Process(process).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # the helper processes of libraries come and go
            if any(module in word for word in child.cmdline()):
                found.append(child)
    return found


def ended(process: psutil.Process) -> bool:
    """Whether it runs no more; a zombie only waits for a parent that asks how it ended."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
