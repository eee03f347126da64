"""Short trials of the trainer `cnn`, with notes of when they train."""

from benchmarks.overhead.spaces import five
from orchestrator.contracts import StudyPlan, Suits

DATASET = "digits"


def plan(dataset: str, suits: Suits) -> StudyPlan:
    """The plan for a data set and what suits it."""
    return five("noted", "noted", dataset, suits, epochs=3, params={})
