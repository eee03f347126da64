"""What every trainer promises, of each one that ships."""

import pkgutil
from typing import Any

import pytest

from orchestrator import plugins
from orchestrator.testing.trainer import TrainerConformance
from tests.helpers.paths import ROOT

# "IMAGENET1K_V1" is refused here: the weights are not there.
OTHER_VALUES: dict[str, Any] = {
    "optimizer": "adamw",
    "schedule": "constant",
    "weights": "IMAGENET1K_V1",
    "weights_sha256": "0" * 64,
    "phases": ({"epochs": 1, "layers": "head"},),
    "averaging": "ema",
    "augmentation": ({"name": "crop", "padding": 2},),
    "mixing": ("mixup",),
    "normalisation": "half",
    "center_crop": 6,
    "clip": 0.01,
    "patience": 1,
    "precision": "bfloat16",
    "resize": 16,
    "head": ({"units": 16},),
}


class TestCnn(TrainerConformance):
    trainer = "cnn"
    other_values = OTHER_VALUES | {
        "blocks": ({"channels": 16}, {"channels": 32}),
        "average": True,
        "hidden": (16,),
    }


@pytest.mark.slow
class TestResNet(TrainerConformance):
    trainer = "resnet"
    other_values = OTHER_VALUES | {"architecture": "resnet34", "stem": "stock"}


# Even the smallest networks of these two take many times as long as the others. The loop's hyperparameters are the same for all.


@pytest.mark.slow
class TestConvNeXt(TrainerConformance):
    trainer = "convnext"
    other_values = OTHER_VALUES | {"architecture": "convnext_small", "stem": "stock"}
    kinds_tried = 1


@pytest.mark.slow
class TestEfficientNet(TrainerConformance):
    trainer = "efficientnet"
    other_values = OTHER_VALUES | {"architecture": "efficientnet_b1", "stem": "stock"}
    quick_params = {"learning_rate": 0.005, "optimizer": "adamw", "dropout": 0.0}  # noqa: RUF012 - a ClassVar of the base
    kinds_tried = 1


def test_every_trainer_that_ships_is_tested_here() -> None:
    tested = {suite.trainer for suite in (TestCnn, TestResNet, TestConvNeXt, TestEfficientNet)}
    own = {module.name for module in pkgutil.iter_modules([str(ROOT / "trainers")]) if not module.ispkg}
    assert tested == own <= set(plugins.names("trainer"))
