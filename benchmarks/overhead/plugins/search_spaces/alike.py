"""Trials that take no time and all have the same curve, so that none is pruned."""

from benchmarks.overhead.spaces import five
from orchestrator.contracts import DataSetInfo, StudyPlan

DATASET = "digits"


def plan(dataset: str, info: DataSetInfo) -> StudyPlan:
    """The plan for a data set, from its info."""
    return five("alike", "synthetic", dataset, info, epochs=21, params={"alike": True})
