"""Random streams of a training run, independent of everything else in the process."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's own generators (which dropout and initialisation use) begin at `seed` inside, and are as before afterwards."""
    index = torch.cuda.current_device() if device.type == "cuda" and device.index is None else device.index
    with torch.random.fork_rng(devices=[index] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def generator(seed: int) -> torch.Generator:
    """A generator on the CPU, of its own."""
    return torch.Generator().manual_seed(seed)
