"""A plan for the trainer `curve`."""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from orchestrator.contracts import Baseline, DataSetInfo, StudyPlan
from orchestrator.recipe import Recipe

DATASET = "digits"


def plan(dataset: str, info: DataSetInfo) -> StudyPlan:
    return StudyPlan(
        recipe=Recipe(plan="curves", trainer="curve", dataset=dataset, epochs=8, seed=0),
        space={
            "batch_size": CategoricalDistribution(info.batch_sizes),
            "learning_rate": FloatDistribution(1e-4, 1.0, log=True),
            "weight_decay": FloatDistribution(1e-5, 1e-1, log=True),
            "label_smoothing": FloatDistribution(0.0, 0.2),
            "dropout": FloatDistribution(0.0, 0.5),
        },
        epochs=8,
        confirm_epochs=8,
        retrain_epochs=12,
        baselines=(
            Baseline(
                system="000-P1",
                params={"batch_size": 64, "learning_rate": 0.1, "weight_decay": 5e-4, "label_smoothing": 0.0, "dropout": 0.3},
            ),
            Baseline(system="001-P1", params={"batch_size": 8}, misfit="batch size 8 is not offered"),
        ),
        pruner="median",  # most stories are about trials that end when they end; tests/test_promotion.py is about the default
    )
