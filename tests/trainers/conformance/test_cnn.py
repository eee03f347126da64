"""What every trainer promises, of the small convolutional network."""

from orchestrator.testing.trainer import TrainerConformance
from tests.trainers.conformance.other_values import OTHER_VALUES


class TestCnn(TrainerConformance):
    trainer = "cnn"
    other_values = OTHER_VALUES | {
        "blocks": ({"channels": 16}, {"channels": 32}),
        "average": True,
        "hidden": (16,),
    }
