"""What every trainer promises, of ConvNeXts."""

import pytest

from orchestrator.testing.trainer import TrainerConformance
from tests.trainers.conformance.other_values import OTHER_VALUES


@pytest.mark.slow
class TestConvNeXt(TrainerConformance):
    trainer = "convnext"
    other_values = OTHER_VALUES | {"architecture": "convnext_small", "stem": "stock"}
    kinds_tried = 1  # even the smallest network takes many times as long as others, and the loop is the same for all
