"""What a worker can know of its GPU's memory."""

from orchestrator.jobs import GpuMemory


def gpu_memory(device: str) -> GpuMemory | None:
    """The memory of the device as this process sees it; None for a device that cannot be asked."""
    if not device.startswith("cuda"):
        return None
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return GpuMemory(peak=torch.cuda.max_memory_reserved(device), available=free + torch.cuda.memory_reserved(device))
