"""As `curves`, with epochs that say they took long enough for a checkpoint after each of them."""

from dataclasses import replace

from orchestrator import plugins
from orchestrator.contracts import DataSetInfo, StudyPlan

_, DATASET, quick_plan = plugins.plan("curves")


def plan(dataset: str, info: DataSetInfo) -> StudyPlan:
    quick = quick_plan(dataset, info)
    return replace(quick, recipe=replace(quick.recipe, plan="checkpointed_curves", params={"told_seconds": 1000.0}))
