"""Trials of the trainer `cnn` that use one core each, with notes of when they train."""

from benchmarks.overhead.spaces import five
from orchestrator.contracts import DataSetInfo, StudyPlan

DATASET = "digits"


def plan(dataset: str, info: DataSetInfo) -> StudyPlan:
    """The plan for a data set, from its info."""
    blocks = [{"channels": 64}, {"channels": 128}, {"channels": 256}]
    return five("single_threaded", "noted", dataset, info, epochs=10, params={"single_threaded": True, "blocks": blocks})
