"""As `curves`, on six settings: a space that is soon exhausted."""

from dataclasses import replace

from optuna.distributions import CategoricalDistribution, IntDistribution

from orchestrator import plugins
from orchestrator.contracts import StudyPlan, Suits

_, DATASET, quick_plan = plugins.plan("curves")


def plan(dataset: str, suits: Suits) -> StudyPlan:
    quick = quick_plan(dataset, suits)
    return replace(
        quick,
        recipe=replace(quick.recipe, plan="six"),
        space={"batch_size": IntDistribution(32, 64, step=32), "learning_rate": CategoricalDistribution((0.003, 0.03, 0.3))},
        baselines=(),
    )
