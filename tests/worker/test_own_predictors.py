"""What a user's own predictor gives is checked before it is measured or written into a submission."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.errors import BadData
from orchestrator.jobs import Failed, Finished
from orchestrator.record import FailureKind
from orchestrator.submission.predictions import predict_test_images
from orchestrator.worker.evaluation import checked_probabilities
from orchestrator.worker.runner import Runner
from tests.worker.test_capabilities import job, own_trainer

IMAGES = np.zeros((4, 1, 8, 8), dtype=np.uint8)
EVEN = torch.full((4, 10), 0.1)

USABLE: dict[str, Callable[[], Any]] = {
    "a tensor": lambda: EVEN,
    "one with a gradient": lambda: EVEN.clone().requires_grad_(),
    "bfloat16": EVEN.bfloat16,
    "an array": EVEN.numpy,
    "lists": EVEN.tolist,
}

WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "of other images": (lambda: EVEN[:3], "an array (3, 10) for 4 images of 10 classes"),
    "of other classes": (lambda: EVEN[:, :9], "an array (4, 9) for 4 images of 10 classes"),
    "labels": (lambda: EVEN.argmax(1), "an array (4,) for 4 images of 10 classes"),
    "NaN": (lambda: EVEN / 0 * 0, "probabilities that are not finite"),
    "nothing": (lambda: None, "object where probabilities are expected"),
    "texts": (lambda: [["cat"] * 10] * 4, "<U3 where probabilities are expected"),
    "lists of several lengths": (lambda: [[0.1] * 10, [0.1]], "a list that is no array"),
    "a sparse tensor": (EVEN.to_sparse, "a Tensor that is no array"),
}


@pytest.mark.parametrize("what", USABLE)
def test_probabilities_of_every_usual_kind_are_taken(what: str) -> None:
    found = checked_probabilities(USABLE[what](), 4, 10)
    assert found.shape == (4, 10)
    assert predict_test_images(IMAGES, lambda images: USABLE[what](), classes=10).labels.tolist() == [0] * 4


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_probabilities_is_refused(what: str) -> None:
    made, says = WRONG[what]
    with pytest.raises(BadData, match=re.escape(says)):
        checked_probabilities(made(), 4, 10)
    with pytest.raises(BadData, match=re.escape(says) + r".*\(images 0 to 3\)"):
        predict_test_images(IMAGES, lambda images: made(), classes=10)


def test_a_predictor_that_fails_is_blamed() -> None:
    with pytest.raises(BadData, match="the model failed: KeyError: 'x'"):
        predict_test_images(IMAGES, lambda images: dict[str, Any]()["x"], classes=10)


@pytest.mark.parametrize(("classes", "kind"), [(10, None), (9, FailureKind.DATA)])
def test_a_retrain_whose_predictor_is_wrong_is_not_tried_again(
    classes: int, kind: FailureKind | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"predicts{classes}"
    recipe = own_trainer(tmp_path, name, "capabilities = Capabilities()", monkeypatch)
    file = tmp_path / "trainers" / f"{name}.py"
    file.write_text(
        file.read_text()
        + f"""
import torch
OwnTrainer.restore = lambda self, snapshot, device: lambda images: torch.full((len(images), {classes}), 0.1)
"""
    )
    monkeypatch.delitem(__import__("sys").modules, f"trainers.{name}")
    runner = Runner(device="cpu", threads=1, data_folder=tmp_path)
    events = [*runner.start(replace(job(tmp_path, recipe), measure="test")), *runner.step(), *runner.step()]
    if kind is None:
        assert isinstance(events[-1], Finished)
    else:
        assert isinstance(events[-1], Failed)
        assert events[-1].failure.kind is kind
        assert "an array (179, 9) for 179 images of 10 classes" in events[-1].failure.message


def test_what_cannot_be_recorded_of_an_epoch_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = own_trainer(tmp_path, "tensors", "capabilities = Capabilities()", monkeypatch)
    file = tmp_path / "trainers" / "tensors.py"
    file.write_text("import torch\n" + file.read_text().replace("val_acc=0.5", "val_acc=torch.tensor(0.5)"))
    monkeypatch.delitem(__import__("sys").modules, "trainers.tensors")
    runner = Runner(device="cpu", threads=1, data_folder=tmp_path)
    *_, failed = [*runner.start(job(tmp_path, recipe)), *runner.step()]
    assert isinstance(failed, Failed)
    assert failed.failure.message.startswith("TypeError: val_acc of the epoch is a Tensor that cannot be recorded")
