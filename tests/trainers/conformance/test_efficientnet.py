"""What every trainer promises, of EfficientNets."""

import pytest

from orchestrator.testing.trainer import TrainerConformance
from tests.trainers.conformance.other_values import OTHER_VALUES


@pytest.mark.slow
class TestEfficientNet(TrainerConformance):
    trainer = "efficientnet"
    other_values = OTHER_VALUES | {"architecture": "efficientnet_b1", "stem": "stock"}
    quick_params = {"learning_rate": 0.005, "optimizer": "adamw", "dropout": 0.0}  # noqa: RUF012 - a ClassVar of the base
    kinds_tried = 1  # as for ConvNeXts
