"""As `curves`, with epochs that say they took long enough for a checkpoint after each of them."""

from dataclasses import replace

from orchestrator import plugins
from orchestrator.contracts import StudyPlan, Suits

_, DATASET, quick_plan = plugins.plan("curves")


def plan(dataset: str, suits: Suits) -> StudyPlan:
    quick = quick_plan(dataset, suits)
    return replace(quick, recipe=replace(quick.recipe, plan="checkpointed_curves", params={"told_seconds": 1000.0}))
