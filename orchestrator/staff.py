"""Whom a command works with: the executor that it asked for, and the observers that copy what is recorded."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from orchestrator.contracts import Executor, Observer
from orchestrator.errors import InvalidInput, OrchestrateError, Unavailable
from orchestrator.executors.in_process import InProcess
from orchestrator.executors.processes import Processes
from orchestrator.executors.shared_gpus import SharedGpus
from orchestrator.machine import SystemClock, Workforce, cores, counted, workforce
from orchestrator.observers.process import ObserverProcess
from orchestrator.plain import dumps
from orchestrator.recipe import Recipe
from orchestrator.sharing import MOST_WORKERS
from orchestrator.store import Store, StudyFile, StudyFolder

# Seconds that the copies may take together to be completed after the last run has ended, and after an interruption.
SECONDS_TO_FINISH = 60.0
SECONDS_WHEN_INTERRUPTED = 3.0
# Seconds in which the database of the published copy must answer.
SECONDS_TO_BEGIN = 30.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where a command works: decides nothing about its results."""

    runs: Path
    data_folder: Path
    device: str = "auto"
    workers: str = "auto"
    workers_per_device: str = "1"
    executor: str = "processes"
    ray_address: str = ""  # HOST:PORT of a cluster's head, or auto; "" starts Ray on this machine
    mirror: str = "auto"

    def workforce(self) -> Workforce:
        """The devices and threads of its workers, without hiring any. Raises InvalidInput or Unavailable."""
        if self.executor == "in-process":
            if self.workers not in ("auto", "1"):
                raise InvalidInput(f"--executor in-process has one worker, this process: leave --workers {self.workers} out")
            return workforce(self.device, "1")
        if self.executor == "ray":
            from orchestrator.executors.ray import survey

            return survey(self.ray_address, device=self.device, workers=self.workers, per_device=self.per_device)
        force = workforce(self.device, self.workers, self.per_device)
        if self.shares_gpus and force.devices[0].startswith("cuda"):  # the number of threads stays when workers are added
            return replace(force, threads=max(1, cores() // (len(force.devices) * MOST_WORKERS)))
        return force

    @property
    def shares_gpus(self) -> bool:
        """Whether the number of workers on a device is to be found out. Raises InvalidInput when it is given as well."""
        if self.workers_per_device != "auto":
            return False
        if self.workers != "auto":
            raise InvalidInput(f"--workers {self.workers} leaves nothing to --workers-per-device auto; leave one of them out")
        return True

    @property
    def per_device(self) -> int:
        """The workers on a device to begin with. Raises InvalidInput."""
        return 1 if self.shares_gpus else counted("--workers-per-device", self.workers_per_device)

    def device_here(self) -> str:
        """The device of this process, for work that is not handed out. Raises InvalidInput or Unavailable."""
        return workforce("auto" if self.executor == "ray" else self.device, "1").devices[0]


@contextlib.contextmanager
def executor(
    workplace: Workplace, folder: StudyFolder, say: Callable[[str], None], *, expected: Recipe | None = None, single: bool = False
) -> Iterator[Executor]:
    """The executor, with one worker for a `single` run; its workers are gone when the block is left, however it is left.

    `expected` is like the recipes of the jobs to come: workers that can prepare for it do.

    Raises InvalidInput, Unavailable, DiskError.
    """
    hired = _hired(workplace, folder, say, expected=expected, single=single)
    try:
        yield hired
    finally:
        hired.close()


def _hired(
    workplace: Workplace, folder: StudyFolder, say: Callable[[str], None], *, expected: Recipe | None, single: bool
) -> Executor:
    data_folder = workplace.data_folder
    shares_gpus = workplace.shares_gpus and not single
    if workplace.executor == "ray":
        from orchestrator.executors.ray import RayActors

        if shares_gpus:
            say(
                "workers per device: 1, since Ray must know a worker's share of a GPU before it can be measured; or give a number"
            )
        return RayActors(
            address=workplace.ray_address,
            device=workplace.device,
            workers="1" if single else workplace.workers,
            per_device=1 if single else workplace.per_device,
            data_folder=data_folder,
            folder=folder.path,
            logs=folder.logs,
            say=say,
        )
    force = workplace.workforce()
    measurable = workplace.executor == "processes" and force.devices[0].startswith("cuda")
    if shares_gpus and not measurable:
        say("workers per device: 1, since only GPUs that worker processes work on can be measured; or give a number")
    if workplace.executor == "in-process":
        return InProcess(device=force.devices[0], threads=force.threads, data_folder=data_folder)
    devices = force.devices[:1] if single else force.devices
    hired = Processes(devices=devices, threads=force.threads, data_folder=data_folder, logs=folder.logs, expected=expected)
    return SharedGpus(hired, clock=SystemClock(), say=say) if shares_gpus and measurable else hired


def published(study: StudyFile, storage: str, store: Store, folder: StudyFolder) -> ObserverProcess:
    """Optuna's copy of the study, in `storage` or, when that is "", in RUNS/optuna.db.

    Raises Unavailable when the database cannot be reached, Mismatch when another study has the name there.
    """
    url = storage or f"sqlite:///{store.published.resolve()}"
    configuration = {
        "url": url,
        "study": study.name,
        "uuid": study.uuid,
        "direction": study.plan_content["metric"]["direction"],
        "distributions": {name: dumps(content) for name, content in study.plan_content["space"].items()},
    }
    copy = ObserverProcess(
        "orchestrator.observers.optuna:open_copy",
        configuration,
        log=folder.logs / "optuna.log",
        copy=f"Optuna's copy of {study.name}",
        cure=f"orchestrate mirror {study.name}",
        awaited=True,
    )
    try:
        problem = copy.ready(SECONDS_TO_BEGIN)
        if problem is not None:
            raise _advised(problem.error())
    except BaseException:  # an interruption too: nobody would ever end its process
        copy.finish(0.0)
        raise
    return copy


def _advised(error: OrchestrateError) -> OrchestrateError:
    if isinstance(error, Unavailable):
        return Unavailable(f"{error}. Nothing was begun; is the database running, and is --storage right?")
    return error


def mirror(study: StudyFile, folder: StudyFolder, mode: str) -> list[Observer]:
    """The mirror in Weights & Biases; none when it is off. What goes wrong with it is a warning at the end."""
    if mode == "off":
        return []
    return [
        ObserverProcess(
            "orchestrator.observers.wandb:open_mirror",
            {"study": study.name, "folder": str(folder.path.resolve()), "mode": mode},
            log=folder.logs / "wandb.log",
            copy=f"the W&B copy of {study.name}",
            cure=f"orchestrate mirror {study.name}",
        )
    ]


@contextlib.contextmanager
def observing(observers: Sequence[Observer], say: Callable[[str], None]) -> Iterator[None]:
    """Let the observers complete their copies when the block is left; what they could not do is said, and fails nothing."""
    patience = SECONDS_WHEN_INTERRUPTED
    try:
        yield
        patience = SECONDS_TO_FINISH
    finally:
        deadline = time.monotonic() + patience
        for observer in observers:
            warning = observer.finish(max(deadline - time.monotonic(), 0.0))
            if warning:
                say(f"warning: {warning}")
