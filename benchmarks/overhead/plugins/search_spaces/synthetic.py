"""Trials that take no time."""

from benchmarks.overhead.spaces import five
from orchestrator.contracts import StudyPlan, Suits

DATASET = "digits"


def plan(dataset: str, suits: Suits) -> StudyPlan:
    """The plan for a data set and what suits it."""
    return five("synthetic", "synthetic", dataset, suits, epochs=8, params={})
