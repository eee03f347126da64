"""Whether products are computed in bfloat16: faster where the processor has it, and slower where it only emulates it."""

import contextlib
import functools
import time
from collections.abc import Iterator
from typing import Any, Literal, cast, get_args

import torch

Precision = Literal["float32", "bfloat16"]

# Pixels. On a CPU with bfloat16 a small CNN trained 1.9 times as fast with it at 32 pixels, a ResNet-18 1.4 to 2.1 times, and
# a CNN on digits of 8 pixels as fast as without.
_FROM_PIXELS = 16
# A smaller gain does not justify the coarser numbers, and is too near to noise: two workers must come to the same answer.
_SMALLEST_GAIN = 1.2
_ROUNDS = 3


def choose_precision(asked: str, device: torch.device, size: int) -> Precision:
    """The type of a run's products: what the recipe asks for, or with "auto" the faster one on this device.

    `size` is of the model's images, in pixels.
    """
    if asked != "auto":
        return "bfloat16" if asked == "bfloat16" else "float32"
    return faster_precision(device.type) if size >= _FROM_PIXELS else "float32"


def checked_precision(name: object) -> Precision:
    """The type of this name, as a state has it. Raises ValueError for any other."""
    for precision in get_args(Precision):
        if name == precision:
            return cast(Precision, precision)
    raise ValueError(f"{name!r} is not a precision")


def prediction_precision(precision: Precision, device: torch.device) -> Precision:
    """The type in which a model that was validated in this one predicts: the same, where the device has it."""
    return precision if precision == "float32" or _has_bfloat16(device.type) else "float32"


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Matrix products and convolutions in this type inside; everything else stays float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


@contextlib.contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """Kernels that give the same numbers every time, and float32 products that are float32, inside; as before, outside.

    cuDNN may choose a kernel by a race, or add up in no fixed order; and it computes float32 convolutions in TF32, which keeps
    ten bits of a number, as matrix products do where that was switched on.
    """
    if device.type != "cuda":
        yield
        return
    cudnn: Any = torch.backends.cudnn
    # One by one, and recurrent layers too: torch's older switch for all of cuDNN raises an error where its parts differ.
    wanted = [
        (cudnn, "benchmark", False),
        (cudnn, "deterministic", True),
        *((products, "fp32_precision", "ieee") for products in (cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul)),
    ]
    before = [getattr(where, name) for where, name, _ in wanted]
    try:
        for where, name, value in wanted:
            setattr(where, name, value)
        yield
    finally:
        for (where, name, _), value in zip(wanted, before, strict=True):
            setattr(where, name, value)


@functools.cache
def faster_precision(device: str) -> Precision:
    """What this kind of device computes faster, found out once per process.

    GPUs of today all gain where they have the type. On a CPU that has it the training of one convolution is timed, both ways in
    turn, the best of three each.
    """
    if not _has_bfloat16(device):
        return "float32"
    if device == "cuda":
        return "bfloat16"
    seconds = {precision: [_seconds(precision) for _ in range(_ROUNDS)] for precision in ("float32", "bfloat16")}
    return "bfloat16" if min(seconds["bfloat16"]) * _SMALLEST_GAIN <= min(seconds["float32"]) else "float32"


def _has_bfloat16(device: str) -> bool:
    """Whether this kind of device computes in bfloat16 itself; those that only emulate it are slow."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu":
        return False
    with contextlib.suppress(AttributeError, RuntimeError):
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


def _seconds(precision: Precision) -> float:
    """Of a convolution as ResNets have it, forwards and backwards, on 32 images of 32 pixels."""
    images = torch.ones(32, 64, 32, 32).to(memory_format=torch.channels_last)
    weight = torch.ones(64, 64, 3, 3, requires_grad=True)
    began = time.process_time()  # of the processor: other processes must not decide
    with autocast(torch.device("cpu"), precision):
        total = torch.nn.functional.conv2d(images, weight, padding=1).float().sum()
    torch.autograd.backward(total)
    return time.process_time() - began
