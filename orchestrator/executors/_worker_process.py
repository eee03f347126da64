"""The other end of the process executor: `python -P -m orchestrator.executors._worker_process`.

Commands come as lines through a socket, events go back the same way. The end of the socket is the end of the conductor,
and so of this process, at once and whatever it is doing.
"""

import ctypes
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from orchestrator import messages
from orchestrator.contracts import Event, Job
from orchestrator.messages import Command, Grant, Stop
from orchestrator.plain import parse
from orchestrator.worker import Runner

_PR_SET_PDEATHSIG = 1  # prctl(2): the signal that this process gets when its parent dies


def main() -> None:
    """Serve one conductor until it is gone."""
    settings = parse(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal group; the conductor decides
    _die_with(settings["parent"])
    channel = socket.socket(fileno=settings["channel"])
    commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(channel, commands), daemon=True).start()

    import torch  # noqa: F401 - seconds that pass while the conductor still prepares the first job

    runner = Runner(device=settings["device"], threads=settings["threads"], data_folder=Path(settings["data"]))
    while True:
        while not runner.can_step or not commands.empty():
            _obey(commands.get(), runner, channel)
        _send(channel, runner.step())


def _obey(command: Command, runner: Runner, channel: socket.socket) -> None:
    match command:
        case Job():
            _send(channel, runner.start(command))
        case Grant():
            runner.grant(command.run_id, command.until_epoch)
        case Stop():
            _send(channel, runner.stop(command.run_id, keep=command.keep))


def _send(channel: socket.socket, events: Sequence[Event]) -> None:
    channel.sendall(b"".join(map(messages.encode, events)))


def _listen(channel: socket.socket, commands: "queue.SimpleQueue[Command]") -> None:
    """Queue what the conductor says; when it is gone, so are we: a worker must never outlive the one that records it."""
    try:
        with channel.makefile("rb") as lines:
            for line in lines:
                commands.put(messages.decode_command(line))
    finally:
        os._exit(0)


def _die_with(parent: int) -> None:
    """Also while a library is loaded with Python's lock held: ask the kernel, where it is Linux's, to end us with `parent`."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main()
