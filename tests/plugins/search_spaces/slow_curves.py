"""As `curves`, with epochs that take long enough for something to happen in them."""

from dataclasses import replace

from orchestrator import plugins
from orchestrator.contracts import DataSetInfo, StudyPlan

_, DATASET, quick_plan = plugins.plan("curves")


def plan(dataset: str, info: DataSetInfo) -> StudyPlan:
    quick = quick_plan(dataset, info)
    return replace(quick, recipe=replace(quick.recipe, plan="slow_curves", params={"seconds": 0.08}))
