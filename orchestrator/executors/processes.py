"""Runs jobs in warm worker processes on this machine: each imports torch, opens its device and reads the data once."""

import contextlib
import itertools
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from orchestrator.errors import BadData, OrchestrateError
from orchestrator.executors import wire
from orchestrator.executors.devices import worker_settings
from orchestrator.executors.wire import Command, Grant, Stop
from orchestrator.jobs import Began, Event, Failed, Finished, Job, Paused, WorkerLost, with_log
from orchestrator.recipe import Recipe
from orchestrator.support.atomic_files import disk_errors
from orchestrator.support.serialization import to_plain

# Workers that die one after the other without beginning a job: then the cause is one that a new process cannot remove. More than
# the attempts at one job, because a job that kills all its workers is only its own failure.
_DEATHS_BEFORE_GIVING_UP = 5

_SECONDS_TO_END = 1.0  # for a process whose socket is closed


@final
class Processes:
    """One process per entry of `devices`. A worker that dies is replaced; its job is reported, not retried.

    Where it is known, `expected` is a recipe like those of the jobs to come: a worker without a job yet loads what it needs.
    """

    def __init__(
        self, *, devices: Sequence[str], threads: int, data_folder: Path, logs: Path, expected: Recipe | None = None
    ) -> None:
        self._selector = selectors.DefaultSelector()
        self._lost: list[WorkerLost] = []  # workers that were ended here, to be reported with the next events
        self._deaths_in_a_row = 0
        with disk_errors(f"write {logs}"):
            logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._settings = {"threads": threads, "data": str(data_folder.resolve()), "expected": to_plain(expected)}
        self._slots: list[_Slot] = []
        self._numbers = itertools.count()
        for device in devices:
            self.add(device)

    @property
    def workers(self) -> int:
        """How many jobs can run at a time."""
        return len(self._slots)

    @property
    def devices(self) -> Mapping[int, str]:
        """The slots in service, by their numbers, and the device of each."""
        return {slot.index: slot.device for slot in self._slots}

    def add(self, device: str) -> int:
        """Start one more worker, on this device, and return its slot's number."""
        index = next(self._numbers)
        slot = _Slot(index, device, self._settings, self._logs / f"worker-{index}.log")
        self._slots.append(slot)
        self._fill(slot)
        return index

    def start(self, job: Job, avoid: int | None = None) -> int | None:
        """Hand the job to the first free worker that it need not avoid, on the device with the fewest jobs."""
        allowed = [slot for slot in self._slots if slot.index != avoid] or self._slots
        busy = Counter(slot.device for slot in self._slots if slot.job is not None)
        free = [slot for slot in allowed if slot.job is None]
        slot = min(free, key=lambda slot: busy[slot.device], default=None)
        if slot is None:
            return None
        slot.job = job
        slot.send(job)
        return slot.index

    def grant(self, run_id: str, until_epoch: int) -> None:
        """Let the run train up to and including this epoch."""
        for slot in self._with(run_id):
            slot.send(Grant(run_id=run_id, until_epoch=until_epoch))

    def stop(self, run_id: str, keep: bool = False) -> None:
        """End the run's job. Its worker is free at once, or once `Paused` came."""
        for slot in self._with(run_id):
            slot.send(Stop(run_id=run_id, keep=keep))
            if not keep:
                slot.job = None

    def replace(self, worker: int) -> None:
        """Kill the process, also one that is stopped, and start another."""
        self._fill(self._end_worker(worker))

    def retire(self, worker: int) -> None:
        """Kill the process, and take its slot out of service."""
        self._slots.remove(self._end_worker(worker))

    def events(self, timeout: float) -> Sequence[Event]:
        """What the workers reported, and which of them died, since the last call."""
        happened: list[Event] = [*self._lost]
        self._lost.clear()
        for key, _ in self._selector.select(0.0 if happened else timeout):
            slot: _Slot = key.data
            said, alive = slot.hear()
            for event in said:
                self._note(slot, event)
            happened += [with_log(event, slot.log.name) for event in said]
            if not alive:
                happened.append(self._replace(slot))
        return happened

    def close(self) -> None:
        """Kill all workers: what they would still do could not be recorded any more."""
        for slot in self._slots:
            slot.kill()
        for slot in self._slots:
            slot.end()
        self._selector.close()

    def _with(self, run_id: str) -> list["_Slot"]:
        return [slot for slot in self._slots if slot.job is not None and slot.job.run_id == run_id]

    def _note(self, slot: "_Slot", event: Event) -> None:
        if isinstance(event, Began):
            self._deaths_in_a_row = 0
        job = slot.job
        if job is not None and isinstance(event, Finished | Failed | Paused) and event.run_id == job.run_id:
            slot.job = None

    def _fill(self, slot: "_Slot") -> None:
        slot.begin()
        self._selector.register(slot.channel, selectors.EVENT_READ, slot)

    def _end_worker(self, index: int) -> "_Slot":
        slot = next(slot for slot in self._slots if slot.index == index)
        slot.kill()
        lost = self._lose(slot)
        if lost.run_id:  # an idle one was ended because somebody here asked for it
            self._lost.append(lost)
        return slot

    def _lose(self, slot: "_Slot") -> WorkerLost:
        self._selector.unregister(slot.channel)
        job, message = slot.job, slot.end()
        if job is None:
            return WorkerLost(worker=slot.index, message=message)
        return WorkerLost(worker=slot.index, message=message, run_id=job.run_id, attempt=job.attempt, log=slot.log.name)

    def _replace(self, slot: "_Slot") -> WorkerLost:
        lost = self._lose(slot)
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= _DEATHS_BEFORE_GIVING_UP * len(self._slots):
            raise OrchestrateError(f"workers die before they begin a job ({lost.message}). The reason is in {slot.log}")
        self._fill(slot)
        return lost


@final
class _Slot:
    """A slot for a worker: the process that fills it now, the socket to it, and the job that it has."""

    def __init__(self, index: int, device: str, settings: Mapping[str, Any], log: Path) -> None:
        self.index = index
        self.device = device
        self.log = log
        self.job: Job | None = None
        self.channel: socket.socket
        self._settings = {**settings, "device": device}
        self._process: subprocess.Popen[bytes]
        self._heard = b""

    def begin(self) -> None:
        """Start a process."""
        self.job, self._heard = None, b""
        ours, theirs = socket.socketpair()
        self.channel = ours
        settings = {**self._settings, "channel": theirs.fileno(), "parent": os.getpid()}
        with theirs, disk_errors(f"write {self.log}"), self.log.open("ab") as log:
            log.write(f"--- worker {self.index} begins at {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "orchestrator.executors.worker_process", json.dumps(settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **worker_settings(self._settings["threads"])},
            )

    def send(self, command: Command) -> None:
        """Send a command; a lost worker is noticed when its events are read."""
        with contextlib.suppress(OSError):
            self.channel.sendall(wire.COMMANDS.encode(command))

    def hear(self) -> tuple[list[Event], bool]:
        """The events that have come, and whether the worker still lives. Half a line waits for its other half."""
        try:
            received = self.channel.recv(1 << 20)
        except OSError:
            received = b""
        *lines, self._heard = (self._heard + received).split(b"\n")
        events = []
        for line in lines:
            with contextlib.suppress(BadData):  # a line torn by a death in the middle of it
                events.append(wire.EVENTS.decode(line))
        return events, bool(received)

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()

    def end(self) -> str:
        """Close the socket, and wait for the process to end. Returns how it ended."""
        self.channel.close()
        self.job = None
        for _ in range(2):
            try:
                return f"worker {self.index} {_ending(self._process.wait(_SECONDS_TO_END))}"
            except subprocess.TimeoutExpired:
                self._process.kill()
        # The kernel ends it when its device or its disk answers; until then it can do nothing.
        return f"worker {self.index} was killed, and its process does not end"


def _ending(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
