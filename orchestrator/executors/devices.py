"""The devices of this machine, and how workers are distributed over them."""

import fnmatch
import os
import re
import sys
from dataclasses import dataclass

from orchestrator.errors import InvalidInput, Unavailable
from orchestrator.support.environment import cores

# Workers per core: with more they only wait for each other, and memory runs out first.
_MOST_WORKERS_PER_CORE = 4

# NVIDIA's drivers, of cards, of embedded boards and in WSL, and AMD's
_GPU_DEVICES = ("nvidia*", "nvhost*", "nvmap", "dxg", "kfd")

# Of a worker, where the user's own environment says nothing else
_WORKER_SETTINGS = {
    "GOMP_SPINCOUNT": "3000",
    "MALLOC_MMAP_MAX_": "0",  # blocks of memory that are asked from the system one by one
    "MALLOC_TRIM_THRESHOLD_": str(2**34),  # bytes that must be free before any are given back
}
_THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAssignment:
    """The workers of a study: one entry of `devices` per worker, and the threads that each may use.

    That is the worker's share of the cores, and never more than a variable of OpenMP or MKL allows, as SLURM may set one.
    """

    devices: tuple[str, ...]
    threads: int


def assign_devices(device: str, workers: str, per_device: int = 1) -> DeviceAssignment:
    """How many workers on which devices. "auto" workers: `per_device` on each GPU; without a GPU on all cores, divided.

    Raises InvalidInput for what cannot be, Unavailable for a device that this machine does not have.
    """
    devices = _devices(device)
    count = len(devices) * per_device if workers == "auto" else counted("--workers", workers)
    spread = tuple(devices[worker % len(devices)] for worker in range(count))
    return DeviceAssignment(devices=spread, threads=worker_threads(count))


def worker_threads(workers: int) -> int:
    """The threads that each of so many workers of this machine may use."""
    limits = [os.environ.get(name, "").split(",")[0].strip() for name in _THREAD_LIMITS]  # OpenMP takes a list, for nested loops
    allowed = min([int(limit) for limit in limits if re.fullmatch("[1-9][0-9]{0,5}", limit)], default=cores())
    return max(1, min(cores() // workers, allowed))


def worker_settings(threads: int) -> dict[str, str]:
    """Environment variables of a worker, read when it starts and when its libraries are first imported.

    It keeps the memory that a step gave back for the next one. GNU's malloc, left alone, returns what is as large as a layer's
    activations to the system each time, and thousands of pages are cleared and mapped anew in every step.

    Its threads spin only briefly while they wait for each other: spinning for long, OpenMP's default, makes an epoch many times
    slower as soon as another process, our own observers for instance, needs a core; sleeping at once makes small networks up to
    three times slower on a quiet machine (docs/decisions.md has the figures).
    """
    count = str(threads)
    chosen = {name: os.environ.get(name, value) for name, value in _WORKER_SETTINGS.items()}
    return {**chosen, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count}


def _devices(device: str) -> list[str]:
    """The devices that a --device option stands for. Where it can be another one than the CPU torch is asked, and imported."""
    if device == "cpu" or (device == "auto" and not _may_have_gpu()):
        return ["cpu"]
    import torch

    gpus = torch.cuda.device_count()
    if device == "auto":
        if gpus:
            return [f"cuda:{number}" for number in range(gpus)]
        return ["mps"] if torch.backends.mps.is_available() else ["cpu"]
    if device == "mps":
        if torch.backends.mps.is_available():
            return ["mps"]
        raise Unavailable("this machine has no mps device; use --device auto")
    if re.fullmatch(r"cuda(:[0-9]{1,3})?", device):
        wanted = [int(device.partition(":")[2])] if ":" in device else list(range(gpus))
        if wanted and max(wanted) < gpus:
            return [f"cuda:{number}" for number in wanted]
        raise Unavailable(
            f"there is no device {device!r}: this machine has {gpus or 'no'} CUDA devices; use --device auto or cpu"
        )
    raise InvalidInput(f"device {device!r} is none of auto, cpu, mps, cuda, cuda:0, cuda:1 and so on")


def _may_have_gpu() -> bool:
    """False only where torch could find none: on Linux a GPU that computes has one of these device files."""
    if sys.platform != "linux":
        return True
    try:
        names = os.listdir("/dev")  # noqa: PTH208 - Path.iterdir fails later
    except OSError:
        return True
    return any(fnmatch.fnmatch(name, pattern) for name in names for pattern in _GPU_DEVICES)


def counted(option: str, given: str) -> int:
    """The number of workers that an option gives. Raises InvalidInput for one that this machine cannot have."""
    most = _MOST_WORKERS_PER_CORE * cores()
    if re.fullmatch("[0-9]{1,9}", given) and 1 <= int(given) <= most:
        return int(given)
    limit = f"{most} ({_MOST_WORKERS_PER_CORE} per core of this machine)"
    raise InvalidInput(f"{option} must be auto or a whole number from 1 to {limit}, not {given!r}")
