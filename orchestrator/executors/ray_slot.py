"""One slot of the Ray executor: the actor that fills it, and the calls to that actor."""

import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from orchestrator.executors import wire
from orchestrator.executors.ray_cluster import ray
from orchestrator.executors.ray_worker import Opened, Probe
from orchestrator.executors.wire import Command
from orchestrator.jobs import Job, WorkerLost
from orchestrator.storage.run_folder import RunFolder
from orchestrator.support.atomic_files import disk_errors, replace

_SECONDS_BETWEEN_PINGS = 1.0  # to a worker that has nothing to do
_SECONDS_WITHOUT_CALLS = 0.05  # before the next thing to do is looked for


@final
class RaySlot:
    """A slot for a worker: the actor that fills it now, the calls that it has not answered yet, and the job that it has."""

    def __init__(self, index: int, probe: Probe, actor: Any) -> None:
        self.index = index
        self.probe = probe
        self.started = 0  # workers that have started here, one after the other
        self.requests_repeated = 0  # times, because its actor did not start
        self.job: Job | None = None
        self.calls: deque[Any] = deque()
        self.fill(actor)

    def fill(self, actor: Any, *, again: bool = False) -> None:
        """Take this actor, which may have to wait until the cluster has room for it; `again` when the last did not start."""
        self._actor = actor
        self.opened, self.shares_disk, self.host = False, False, ""
        self.job, self.can_step = None, False
        self.requests_repeated = self.requests_repeated + 1 if again else 0
        self.calls = deque([actor.open.remote(self.probe)])
        self.filled = self._answered = time.monotonic()

    @property
    def log(self) -> str:
        """The file in the study's folder of logs that it prints to; "" where it prints on a machine that does not see it."""
        return Path(self.probe.log).name if self.shares_disk else ""

    def opens(self, opened: Opened) -> None:
        """The actor has started, and takes jobs now."""
        self.opened, self.shares_disk, self.host = True, opened.shares_disk, opened.host
        self.started += 1

    def send(self, command: Command, checkpoint: bytes | None = None) -> None:
        """Send a command; the actor obeys after all earlier calls."""
        self.calls.append(self._actor.obey.remote(wire.COMMANDS.encode(command), checkpoint))

    def step(self) -> None:
        """Let it train an epoch, if its job may."""
        self.calls.append(self._actor.step.remote())

    def continue_(self) -> None:
        """Give a worker that has answered everything the next thing to do. A loss is only noticed in an answer, hence pings."""
        if self.calls:
            self._answered = time.monotonic()
        elif self.can_step:
            self.step()
        elif time.monotonic() - self._answered > _SECONDS_BETWEEN_PINGS:
            self.calls.append(self._actor.ping.remote())

    def lost(self, message: str) -> WorkerLost:
        """The event for a worker that was lost, with the job that it had."""
        if self.job is None:
            return WorkerLost(worker=self.index, message=message)
        return WorkerLost(worker=self.index, message=message, run_id=self.job.run_id, attempt=self.job.attempt, log=self.log)

    def kill(self) -> None:
        """End the actor, whatever it does; its calls are forgotten."""
        self.calls.clear()
        self.opened = False
        ray.kill(self._actor)


def answered(calls: list[Any], timeout: float) -> list[Any]:
    """Those that have an answer; waits up to `timeout` seconds for the first."""
    if not calls:  # all workers wait for a job
        time.sleep(min(timeout, _SECONDS_WITHOUT_CALLS))
        return []
    ended, _ = ray.wait(calls, num_returns=1, timeout=timeout)
    return list(ray.wait(calls, num_returns=len(calls), timeout=0.0)[0]) if ended else []


def write_checkpoints(checkpoints: Mapping[str, bytes], folder: Path) -> None:
    """Write the checkpoints that a call brought into the run's folder. Raises DiskError."""
    run = RunFolder(folder)
    for file in (run.last_checkpoint, run.best_checkpoint):
        if file.name in checkpoints:
            with disk_errors(f"write {file}"):
                replace(file, checkpoints[file.name])
