"""Where both sides are measured, and what is expected of them there."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

Column = Literal["cpu", "gpu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How many times faster than the plain loop: what must be, and what is aimed at."""

    must: float | None = None
    aim: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    images: int  # in one pass over the training images, or to predict
    choosing: int  # images in a pass that decides how many workers the plain loop has
    rounds: int  # of both sides
    batch: int = 128  # images


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One device, the column of `BOUNDS` that is for it, and the folder where CIFAR-100 lies.

    The columns differ in what is expected and in how much is measured; everything else is the same on every device, so that
    what is written for a GPU can be tried without one.
    """

    device: torch.device
    column: Column
    folder: Path
    # Passes of the plain loop with each number of workers; the first starts the processes and does not count.
    choosing_passes: int = 4

    @property
    def described(self) -> str:
        """For the conditions of a result."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"{self.device.type}, {torch.get_num_threads()} threads"

    def bound(self, name: str) -> Bound:
        """What is expected of the benchmark with this name."""
        if self.column == "cpu" and name == "resnet18" and not has_bfloat16():
            return Bound(aim=BOUNDS[name]["cpu"].aim)
        return BOUNDS[name][self.column]

    def size(self, name: str, *, quick: bool) -> Size:
        """How much of it is measured here."""
        return SIZES[name]["quick" if quick else self.column]

    def wait(self) -> None:
        """Until the device has done all that it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


# What is asked for. On a CPU without bfloat16 the must for ResNet-18 is none; a GPU has aims only.
BOUNDS: dict[str, dict[Column, Bound]] = {
    "pipeline": {"cpu": Bound(must=15.0), "gpu": Bound(aim=50.0)},
    "cnn": {"cpu": Bound(must=1.5, aim=1.8), "gpu": Bound(aim=8.0)},
    "resnet18": {"cpu": Bound(must=2.0, aim=2.5), "gpu": Bound(aim=4.0)},
    "prediction": {"cpu": Bound(must=2.0), "gpu": Bound(aim=8.0)},
}
# Images/s of ResNet-18 on an H200, where 790 TFLOP/s would allow 237,000
H200_IMAGES = 60_000.0

SIZES: dict[str, dict[Column | Literal["quick"], Size]] = {
    "pipeline": {
        "cpu": Size(images=40_000, choosing=10_000, rounds=6),
        "gpu": Size(images=40_000, choosing=40_000, rounds=6),
        "quick": Size(images=256, choosing=128, rounds=1),
    },
    "cnn": {
        "cpu": Size(images=6_400, choosing=6_400, rounds=8),
        "gpu": Size(images=40_000, choosing=40_000, rounds=6),
        "quick": Size(images=256, choosing=128, rounds=1),
    },
    "resnet18": {
        "cpu": Size(images=768, choosing=256, rounds=6),
        "gpu": Size(images=40_000, choosing=10_240, rounds=6),
        "quick": Size(images=8, choosing=4, rounds=1, batch=4),
    },
    "prediction": {
        "cpu": Size(images=1_000, choosing=500, rounds=6),
        "gpu": Size(images=40_000, choosing=10_000, rounds=6),
        "quick": Size(images=8, choosing=4, rounds=1, batch=4),
    },
}


def has_bfloat16() -> bool:
    """Whether this machine's processor computes matrix products in bfloat16 (Linux says so; elsewhere it counts as not)."""
    if platform.system() != "Linux":
        return False
    words = Path("/proc/cpuinfo").read_text().split()
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(words))
