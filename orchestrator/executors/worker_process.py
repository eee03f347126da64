"""The other end of the process executor: `python -P -m orchestrator.executors.worker_process`.

Commands come as lines through a socket, events go back the same way. The end of the conductor is the end of this process, at
once and whatever it is doing: also while it still imports, which is why nothing heavy is imported before that is settled.
"""

import contextlib
import ctypes
import gc
import json
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.executors.wire import Command
    from orchestrator.jobs import Event
    from orchestrator.worker.runner import Runner

_PR_SET_PDEATHSIG = 1  # prctl(2): the signal that this process gets when its parent dies


def main() -> None:
    """Serve one conductor until it is gone."""
    settings = json.loads(sys.argv[1])
    _die_with(settings["parent"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal group; the conductor decides
    channel = socket.socket(fileno=settings["channel"])
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(channel, lines), daemon=True).start()

    from orchestrator.support.environment import remove_switches

    remove_switches()
    gc.disable()  # what is imported is no garbage, and looking for some among it takes a tenth of the time
    import torch  # noqa: F401 - seconds that pass while the conductor still prepares the first job

    from orchestrator.executors.wire import COMMANDS
    from orchestrator.recipe import Recipe
    from orchestrator.support.serialization import from_plain
    from orchestrator.worker.runner import Runner

    gc.freeze()
    gc.enable()
    runner = Runner(device=settings["device"], threads=settings["threads"], data_folder=Path(settings["data"]))
    if settings["expected"] is not None:
        with contextlib.suppress(Exception):  # the first job will say what is wrong
            runner.prepare(from_plain(Recipe, settings["expected"]))
    while True:
        while not runner.can_step or not lines.empty():
            _obey(COMMANDS.decode(lines.get()), runner, channel)
        _send(channel, runner.step())


def _obey(command: "Command", runner: "Runner", channel: socket.socket) -> None:
    from orchestrator.executors.wire import Grant, Stop
    from orchestrator.jobs import Job

    match command:
        case Job():
            _send(channel, runner.start(command))
        case Grant():
            runner.grant(command.run_id, command.until_epoch)
        case Stop():
            _send(channel, runner.stop(command.run_id, keep=command.keep))


def _send(channel: socket.socket, events: "Sequence[Event]") -> None:
    from orchestrator.executors.wire import EVENTS

    channel.sendall(b"".join(map(EVENTS.encode, events)))


def _listen(channel: socket.socket, lines: "queue.SimpleQueue[bytes]") -> None:
    """Queue what the conductor says; when it is gone, so are we: a worker must never outlive the one that records it."""
    try:
        with channel.makefile("rb") as stream:
            for line in stream:
                lines.put(line)
    finally:
        os._exit(0)


def _die_with(parent: int) -> None:
    """Ask the kernel, where it is Linux's, to end this process with its parent: loading a library can hold Python's lock."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main()
