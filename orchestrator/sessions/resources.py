"""Where a command works: its folders, devices and workers."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import final

from orchestrator.errors import InvalidInput
from orchestrator.executors.base import Executor
from orchestrator.executors.devices import DeviceAssignment, assign_devices, counted, worker_threads
from orchestrator.executors.gpu_capacity import MOST_WORKERS
from orchestrator.executors.gpu_sharing import GpuSharing
from orchestrator.executors.in_process import InProcess
from orchestrator.executors.processes import Processes
from orchestrator.recipe import Recipe
from orchestrator.storage.remembered_folders import DEFAULT_DATA
from orchestrator.storage.settings import WandbDefaults, wandb_defaults
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.activity import doing
from orchestrator.support.clock import SystemClock


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Folders, devices and workers of a command; its results do not depend on them."""

    runs: Path
    data_folder: Path | None = None  # as given; sessions settle it
    device: str = "auto"
    workers: str = "auto"
    workers_per_device: str = "1"
    executor: str = "processes"
    ray_address: str = ""  # HOST:PORT of a cluster's head, or auto; "" starts Ray on this machine
    mirror: str = "auto"
    # Read before anything begins, as it may be wrong. Raises BadSettings or DiskError.
    wandb: WandbDefaults = field(default_factory=wandb_defaults)

    def __post_init__(self) -> None:
        """Refuse what would do nothing. Raises InvalidInput."""
        executor, workers, per_device = self.executor, self.workers, self.workers_per_device
        if self.ray_address and executor != "ray":
            raise InvalidInput(f"--ray-address would do nothing with --executor {executor}: leave it out, or give --executor ray")
        if per_device != "1" and executor == "in-process":
            raise InvalidInput("--executor in-process has one worker, this process: leave --workers-per-device out")
        if per_device != "1" and workers != "auto" and (per_device == "auto" or executor != "ray"):
            raise InvalidInput(f"--workers {workers} leaves nothing to --workers-per-device {per_device}; leave one of them out")

    @property
    def address(self) -> str:
        """Of the Ray cluster: as given, or else as the environment says; "" starts Ray on this machine."""
        return self.ray_address or os.environ.get("RAY_ADDRESS", "")

    def assignment(self) -> DeviceAssignment:
        """The devices and threads of its workers, without starting any. Raises InvalidInput or Unavailable."""
        if self.executor == "in-process":
            if self.workers not in ("auto", "1"):
                raise InvalidInput(f"--executor in-process has one worker, this process: leave --workers {self.workers} out")
            return assign_devices(self.device, "1")
        if self.executor == "ray":
            from orchestrator.executors.ray import survey

            return survey(self.address, device=self.device, workers=self.workers, per_device=self.per_device)
        assigned = assign_devices(self.device, self.workers, self.per_device)
        if self.shares_gpus and assigned.devices[0].startswith("cuda"):  # the number of threads stays when workers are added
            return replace(assigned, threads=worker_threads(len(assigned.devices) * MOST_WORKERS))
        return assigned

    @property
    def shares_gpus(self) -> bool:
        """Whether the number of workers on a device is to be found out."""
        return self.workers_per_device == "auto"

    @property
    def per_device(self) -> int:
        """The workers on a device to begin with. Raises InvalidInput."""
        return 1 if self.shares_gpus else counted("--workers-per-device", self.workers_per_device)

    def device_here(self) -> str:
        """The device of this process, for work that is not handed out. Raises InvalidInput or Unavailable."""
        return assign_devices("auto" if self.executor == "ray" else self.device, "1").devices[0]


@contextlib.contextmanager
def start_workers(
    resources: Resources, folder: StudyFolder, say: Callable[[str], None], *, expected: Recipe | None = None, single: bool = False
) -> Iterator[Executor]:
    """The executor, with one worker for a `single` run; its workers are ended when the block is left, however it is left.

    `expected` is like the recipes of the jobs to come: workers that can prepare for it do.

    Raises InvalidInput, Unavailable, DiskError.
    """
    with doing("starting workers"):
        executor = _executor(resources, folder, say, expected=expected, single=single)
    try:
        yield executor
    finally:
        executor.close()


def _executor(
    resources: Resources, folder: StudyFolder, say: Callable[[str], None], *, expected: Recipe | None, single: bool
) -> Executor:
    data_folder = resources.data_folder or DEFAULT_DATA
    shares_gpus = resources.shares_gpus and not single
    if resources.executor == "ray":
        from orchestrator.executors.ray import RayActors

        if shares_gpus:
            say(
                "workers per device: 1, since Ray must know a worker's share of a GPU before it can be measured; or give a number"
            )
        return RayActors(
            address=resources.address,
            device=resources.device,
            workers="1" if single else resources.workers,
            per_device=1 if single else resources.per_device,
            data_folder=data_folder,
            folder=folder.path,
            logs=folder.logs,
            say=say,
        )
    assigned = resources.assignment()
    if single and (resources.workers not in ("auto", "1") or resources.workers_per_device not in ("auto", "1")):
        say("note: one run has one worker, whatever --workers and --workers-per-device say")
    measurable = resources.executor == "processes" and assigned.devices[0].startswith("cuda")
    if shares_gpus and not measurable:
        say("workers per device: 1, since only GPUs that worker processes work on can be measured; or give a number")
    if resources.executor == "in-process":
        return InProcess(device=assigned.devices[0], threads=assigned.threads, data_folder=data_folder)
    devices = assigned.devices[:1] if single else assigned.devices
    processes = Processes(devices=devices, threads=assigned.threads, data_folder=data_folder, logs=folder.logs, expected=expected)
    return GpuSharing(processes, clock=SystemClock(), say=say) if shares_gpus and measurable else processes
