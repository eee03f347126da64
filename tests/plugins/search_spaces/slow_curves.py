"""As `curves`, with epochs that take long enough for something to happen in them."""

from dataclasses import replace

from orchestrator import plugins
from orchestrator.contracts import StudyPlan, Suits

_, DATASET, quick_plan = plugins.plan("curves")


def plan(dataset: str, suits: Suits) -> StudyPlan:
    quick = quick_plan(dataset, suits)
    return replace(quick, recipe=replace(quick.recipe, plan="slow_curves", params={"seconds": 0.08}))
