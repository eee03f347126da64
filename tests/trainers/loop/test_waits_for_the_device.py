"""A device such as a GPU works on while the next steps are prepared: nothing inside an epoch may wait for it, or send it data.

Shown without one, on torch's meta device: whatever would need a value from it raises there, and each copy to it is seen.
"""

import contextlib
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from orchestrator import plugins
from orchestrator.contracts import Training
from tests.helpers.training_runs import limit_micro_batch, moved, random_data, recipe

BATCH = 8


class Copies(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that have to do with both the CPU and the meta device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        devices = {leaf.device.type for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor) and leaf.ndim}
        self.count += devices == {"cpu", "meta"}
        return out


@pytest.fixture(autouse=True)
def _without_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """The meta device knows no types of products."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())


def begin(trainer: str, steps: int, params: Mapping[str, Any]) -> Training:
    info = plugins.dataset("cifar100").info(Path("nowhere"))
    data = moved(random_data(info, steps * BATCH, BATCH), "meta")
    return plugins.trainer(trainer).begin(recipe(trainer, 1, batch_size=BATCH, precision="float32", **params), data, "meta")


def copies(training: Training) -> int:
    """In an epoch that ends where it first asks for what the device computed: the losses of all its steps."""
    with Copies() as seen, pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor") as waited:
        training.epoch()
    assert [frame.line for frame in traceback.extract_tb(waited.value.__traceback__) if "losses.tolist()" in (frame.line or "")]
    return int(seen.count)


AUGMENTATIONS: list[Any] = [
    {"name": "color-jitter", "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    *("crop", "flip", "rotation", "rand-augment", "trivial-augment", "aug-mix"),
    *("random-resized-crop", "erasing", "cutout", "noise", "blur", "jpeg"),
]


def choices() -> Iterator[Any]:
    yield from ((name, {}) for name in ("cnn", "resnet"))
    yield from (pytest.param(name, {}, marks=pytest.mark.slow) for name in ("efficientnet", "convnext"))
    yield from (pytest.param("cnn", {"augmentation": [transform]}, marks=pytest.mark.slow) for transform in AUGMENTATIONS)
    names = ("sgd", "adam", "adamw", "nadam", "radam")
    yield from (pytest.param("cnn", {"optimizer": name}, marks=pytest.mark.slow) for name in names)
    yield "cnn", {"mixing": [{"name": "mixup", "probability": 0.5}, {"name": "cutmix", "probability": 0.5}]}
    yield "cnn", {"averaging": "ema", "clip": 1.0, "dropout": 0.3, "label_smoothing": 0.1}
    yield pytest.param("resnet", {"resize": 40, "center_crop": 32, "stem": "3x3"}, marks=pytest.mark.slow)


@pytest.mark.parametrize(("trainer", "params"), list(choices()), ids=str)
def test_more_steps_neither_wait_for_the_device_nor_send_it_more(trainer: str, params: dict[str, Any]) -> None:
    copies(begin(trainer, 1, params))  # some constants are made once in a process
    few, many = (copies(begin(trainer, steps, params)) for steps in (2, 5))
    assert few == many


def test_parts_of_a_batch_do_not_either() -> None:
    found = []
    for steps in (2, 5):
        training = begin("cnn", steps, {})
        limit_micro_batch(training, 3)
        found.append(copies(training))
    assert found[0] == found[1]


def test_what_does_wait_or_send_is_seen() -> None:
    with pytest.raises(RuntimeError, match="meta tensor"):
        float(torch.zeros(1, device="meta"))
    with Copies() as seen:
        torch.zeros(3).to("meta")
    assert seen.count == 1
