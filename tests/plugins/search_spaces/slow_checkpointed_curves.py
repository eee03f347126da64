"""As `checkpointed_curves`, with epochs that take long enough for something to happen in them."""

from dataclasses import replace

from orchestrator import plugins
from orchestrator.contracts import DataSetInfo, StudyPlan

_, DATASET, checkpointed_plan = plugins.plan("checkpointed_curves")


def plan(dataset: str, info: DataSetInfo) -> StudyPlan:
    made = checkpointed_plan(dataset, info)
    params = {**made.recipe.params, "seconds": 0.08}
    return replace(made, recipe=replace(made.recipe, plan="slow_checkpointed_curves", params=params))
