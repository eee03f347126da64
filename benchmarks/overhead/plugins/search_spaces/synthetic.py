"""Trials that take no time."""

from benchmarks.overhead.spaces import five
from orchestrator.contracts import DataSetInfo, StudyPlan

DATASET = "digits"


def plan(dataset: str, info: DataSetInfo) -> StudyPlan:
    """The plan for a data set, from its info."""
    return five("synthetic", "synthetic", dataset, info, epochs=8, params={})
