"""What every trainer promises, of the small convolutional network."""

import pytest

from orchestrator.contracts import Data
from orchestrator.testing.trainer import TrainerConformance
from tests.trainers.conformance.other_values import OTHER_VALUES


class TestCnn(TrainerConformance):
    trainer = "cnn"
    other_values = OTHER_VALUES | {
        "blocks": ({"channels": 16}, {"channels": 32}),
        "average": True,
        "hidden": (16,),
    }

    # Two processes that import torch. In the fast suite the executors compare another process with this one.
    @pytest.mark.slow
    def test_a_fresh_process_gives_the_same_numbers(self, data: Data) -> None:
        super().test_a_fresh_process_gives_the_same_numbers(data)
