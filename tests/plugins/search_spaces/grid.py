"""The trainer `curve` on a grid of 144 points, in which TPE alone proposes the same again and again."""

from dataclasses import replace

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator import plugins
from orchestrator.contracts import DataSetInfo, StudyPlan

_, DATASET, quick_plan = plugins.plan("curves")


def plan(dataset: str, info: DataSetInfo) -> StudyPlan:
    quick = quick_plan(dataset, info)
    return replace(
        quick,
        recipe=replace(quick.recipe, plan="grid"),
        space={
            "batch_size": IntDistribution(16, 64, step=16),
            "learning_rate": CategoricalDistribution((0.001, 0.01, 0.03, 0.1)),
            "label_smoothing": FloatDistribution(0.0, 0.2, step=0.1),
            "dropout": FloatDistribution(0.1, 0.3, step=0.1),
        },
        baselines=(),
    )
