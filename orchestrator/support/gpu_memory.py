"""Memory as a worker sees it: how much its GPU has, and whether an error means that there was not enough."""

import gc
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuMemory:
    """The memory of a worker's GPU, in bytes."""

    peak: int  # the most that the worker has reserved since it began
    available: int  # what it has reserved now, and what no process has reserved


def gpu_memory(device: str) -> GpuMemory | None:
    """The memory of the device as this process sees it; None for a device that cannot be asked."""
    if not device.startswith("cuda"):
        return None
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return GpuMemory(peak=torch.cuda.max_memory_reserved(device), available=free + torch.cuda.memory_reserved(device))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was not enough memory, on the device or for the process."""
    # torch names it OutOfMemoryError on a GPU; on the CPU its allocator raises RuntimeError, and so do NVIDIA's libraries.
    said = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(words in said for words in ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"))
    )


def free_memory() -> None:
    """Release unused memory, and what the device's allocator keeps for later."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
