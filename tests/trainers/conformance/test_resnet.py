"""What every trainer promises, of ResNets."""

import pytest

from orchestrator.testing.trainer import TrainerConformance
from tests.trainers.conformance.other_values import OTHER_VALUES


@pytest.mark.slow
class TestResNet(TrainerConformance):
    trainer = "resnet"
    other_values = OTHER_VALUES | {"architecture": "resnet34", "stem": "stock"}
