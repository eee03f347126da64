"""As `curves`, on six settings: a space that is soon exhausted."""

from dataclasses import replace

from optuna.distributions import CategoricalDistribution, IntDistribution

from orchestrator import plugins
from orchestrator.contracts import DataSetInfo, StudyPlan

_, DATASET, quick_plan = plugins.plan("curves")


def plan(dataset: str, info: DataSetInfo) -> StudyPlan:
    quick = quick_plan(dataset, info)
    return replace(
        quick,
        recipe=replace(quick.recipe, plan="six"),
        space={"batch_size": IntDistribution(32, 64, step=32), "learning_rate": CategoricalDistribution((0.003, 0.03, 0.3))},
        baselines=(),
    )
