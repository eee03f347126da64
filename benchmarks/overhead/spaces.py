"""Five hyperparameters, with the ranges of the plan `part1`."""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution

from orchestrator.contracts import DataSetInfo, StudyPlan
from orchestrator.recipe import Recipe


def five(name: str, trainer: str, dataset: str, info: DataSetInfo, epochs: int, params: Mapping[str, Any]) -> StudyPlan:
    """A plan for a trainer that knows these hyperparameters, and `params` besides."""
    return StudyPlan(
        recipe=Recipe(plan=name, trainer=trainer, dataset=dataset, epochs=epochs, seed=0, params=params),
        space={
            "batch_size": CategoricalDistribution(info.batch_sizes),
            "learning_rate": FloatDistribution(3e-3, 3e-1, log=True),
            "weight_decay": FloatDistribution(5e-5, 5e-3, log=True),
            "label_smoothing": FloatDistribution(0.0, 0.2),
            "dropout": FloatDistribution(0.0, 0.5),
        },
        epochs=epochs,
        confirm_epochs=epochs,
        retrain_epochs=epochs,
    )
