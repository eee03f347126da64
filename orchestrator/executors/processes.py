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
from orchestrator.jobs import Began, Event, Failed, Finished, Job, Paused, WorkerLost
from orchestrator.recipe import Recipe
from orchestrator.support.atomic_files import disk_errors
from orchestrator.support.serialization import to_plain

# Workers that die one after the other without beginning a job: then something is wrong that a new process cannot cure. More than
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
        self._lost: list[WorkerLost] = []  # what was ended here, to be told with the next events
        self._deaths_in_a_row = 0
        with disk_errors(f"write {logs}"):
            logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._settings = {"threads": threads, "data": str(data_folder.resolve()), "expected": to_plain(expected)}
        self._workers: list[_Worker] = []
        self._numbers = itertools.count()
        for device in devices:
            self.add(device)

    @property
    def workers(self) -> int:
        """How many jobs can run at a time."""
        return len(self._workers)

    @property
    def devices(self) -> Mapping[int, str]:
        """The workers in service, by their numbers, and the device of each."""
        return {worker.index: worker.device for worker in self._workers}

    def add(self, device: str) -> int:
        """Put one more worker into service, on this device, and return its number."""
        index = next(self._numbers)
        worker = _Worker(index, device, self._settings, self._logs / f"worker-{index}.log")
        self._workers.append(worker)
        self._hire(worker)
        return index

    def start(self, job: Job, avoid: int | None = None) -> int | None:
        """Hand the job to the first free worker that it need not avoid, on the device with the fewest jobs."""
        allowed = [worker for worker in self._workers if worker.index != avoid] or self._workers
        busy = Counter(worker.device for worker in self._workers if worker.job is not None)
        free = [worker for worker in allowed if worker.job is None]
        worker = min(free, key=lambda worker: busy[worker.device], default=None)
        if worker is None:
            return None
        worker.job = job
        worker.send(job)
        return worker.index

    def grant(self, run_id: str, until_epoch: int) -> None:
        """Let the run train up to and including this epoch."""
        for worker in self._with(run_id):
            worker.send(Grant(run_id=run_id, until_epoch=until_epoch))

    def stop(self, run_id: str, keep: bool = False) -> None:
        """End the run's job. Its worker is free at once, or once `Paused` came."""
        for worker in self._with(run_id):
            worker.send(Stop(run_id=run_id, keep=keep))
            if not keep:
                worker.job = None

    def replace(self, worker: int) -> None:
        """Kill the process, also one that is stopped, and start another."""
        place = self._dismiss(worker)
        self._hire(place)

    def retire(self, worker: int) -> None:
        """Kill the process, and start no other there."""
        self._workers.remove(self._dismiss(worker))

    def events(self, timeout: float) -> Sequence[Event]:
        """What the workers said, and who died, since the last call."""
        happened: list[Event] = [*self._lost]
        self._lost.clear()
        for key, _ in self._selector.select(0.0 if happened else timeout):
            worker: _Worker = key.data
            said, alive = worker.hear()
            for event in said:
                self._note(worker, event)
            happened += said
            if not alive:
                happened.append(self._replace(worker))
        return happened

    def close(self) -> None:
        """Kill all workers: what they would still do could not be recorded any more."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.end()
        self._selector.close()

    def _with(self, run_id: str) -> list["_Worker"]:
        return [worker for worker in self._workers if worker.job is not None and worker.job.run_id == run_id]

    def _note(self, worker: "_Worker", event: Event) -> None:
        if isinstance(event, Began):
            self._deaths_in_a_row = 0
        job = worker.job
        if job is not None and isinstance(event, Finished | Failed | Paused) and event.run_id == job.run_id:
            worker.job = None

    def _hire(self, worker: "_Worker") -> None:
        worker.begin()
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)

    def _dismiss(self, index: int) -> "_Worker":
        worker = next(worker for worker in self._workers if worker.index == index)
        worker.kill()
        self._lost.append(self._lose(worker))
        return worker

    def _lose(self, worker: "_Worker") -> WorkerLost:
        self._selector.unregister(worker.channel)
        job, message = worker.job, worker.end()
        if job is None:
            return WorkerLost(worker=worker.index, message=message)
        return WorkerLost(worker=worker.index, message=message, run_id=job.run_id, attempt=job.attempt)

    def _replace(self, worker: "_Worker") -> WorkerLost:
        lost = self._lose(worker)
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= _DEATHS_BEFORE_GIVING_UP * len(self._workers):
            raise OrchestrateError(f"workers die before they begin a job ({lost.message}); see {worker.log}")
        self._hire(worker)
        return lost


@final
class _Worker:
    """A place for a worker: the process that fills it now, the socket to it, and the job that it has."""

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
        """Say something; a worker that is gone is noticed when it is heard."""
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
        """Say nothing more to the process, and see it end. Returns how it ended."""
        self.channel.close()
        self.job = None
        for _ in range(2):
            try:
                return f"worker {self.index} {_ending(self._process.wait(_SECONDS_TO_END))}"
            except subprocess.TimeoutExpired:
                self._process.kill()
        # The kernel ends it when its device or its disk answers; until then it can do nothing, and after that neither.
        return f"worker {self.index} does not even end when it is killed"


def _ending(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
