"""Part 1 of the challenge: a simple convolutional network, from scratch."""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from orchestrator.contracts import DataSetInfo, StudyPlan
from orchestrator.recipe import Recipe
from search_spaces._baselines import baselines
from search_spaces.reference_systems.part1 import SYSTEMS

DATASET = "cifar100"

# Why the settings of these reference systems cannot be first trials: network, optimiser and schedule are the plan's.
_MISFITS = {
    "001-P1": "its schedule is StepLR(1, .9), the plan's is cosine; batch 8 and no weight decay are outside the ranges",
    "002-P1": "its optimiser is Adam, the plan's is SGD",
    "003-P1": "its schedule is a StepLR, the plan's is cosine; no weight decay is outside the range",
    "004-P1": "its schedule is StepLR(10, .5), the plan's is cosine",
}


def plan(dataset: str, info: DataSetInfo) -> StudyPlan:
    """The plan for a data set."""
    space = {
        # images in a step: few leave many noisy steps in an epoch, many make an epoch quick
        "batch_size": CategoricalDistribution(info.batch_sizes),
        # per step, at the peak: lower learns too little in ten epochs, higher diverges with Nesterov momentum .9
        "learning_rate": FloatDistribution(3e-3, 3e-1, log=True),
        # L2 gradient per unit of weight: a decade on either side of the customary 5e-4
        "weight_decay": FloatDistribution(5e-5, 5e-3, log=True),
        # fraction of the target spread over all classes: beyond .2 the network only learns to be unsure
        "label_smoothing": FloatDistribution(0.0, 0.2),
        # fraction of values dropped: a network this small, in so few epochs, rarely gains from more than half
        "dropout": FloatDistribution(0.0, 0.5),
    }
    epochs = min(10, info.trial_epochs)
    return StudyPlan(
        recipe=Recipe(
            plan="part1",
            trainer="cnn",
            dataset=dataset,
            epochs=epochs,
            seed=0,
            params={
                "blocks": [{"channels": 32}, {"channels": 64}, {"channels": 128}],
                "hidden": [256],
                "optimizer": "sgd",
                "momentum": 0.9,
                "schedule": "cosine",
                "warmup": 0.2,
            },
        ),
        space=space,
        epochs=epochs,
        confirm_epochs=epochs,  # a confirmation repeats what the trial claims, on another seed and other images
        retrain_epochs=min(60, info.retrain_epochs),
        baselines=baselines(SYSTEMS, space, _MISFITS),
    )
