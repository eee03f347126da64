"""Part 2 of the challenge: ResNet-18 with the 3×3 stem, from scratch."""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from orchestrator.contracts import Baseline, StudyPlan, Suits
from orchestrator.recipe import Recipe
from search_spaces._references import fitted

DATASET = "cifar100"

# Settings of the reference systems; the network is the plan's.
_BASELINES = (
    Baseline(
        system="000-P2",
        params={"batch_size": 128, "learning_rate": 0.1, "weight_decay": 5e-4, "label_smoothing": 0.0, "dropout": 0.3},
    ),
    Baseline(
        system="001-P2",
        params={"batch_size": 8, "learning_rate": 0.1, "weight_decay": 0.0, "label_smoothing": 0.0, "dropout": 0.0},
        misfit="its schedule is StepLR(1, .9), the plan's is cosine; batch 8 and no weight decay are outside the ranges",
    ),
    Baseline(
        system="002-P2",
        params={"batch_size": 128, "learning_rate": 1e-3, "weight_decay": 0.0, "label_smoothing": 0.0, "dropout": 0.0},
        misfit="its optimiser is Adam, the plan's is SGD",
    ),
    Baseline(
        system="003-P2",
        params={"batch_size": 128, "learning_rate": 1e-3, "weight_decay": 0.0, "label_smoothing": 0.1, "dropout": 0.0},
        misfit="it begins from ImageNet weights with Adam, the plan from scratch with SGD",
    ),
    Baseline(
        # The report states no weight decay: 5e-4 is what its own part 3 uses.
        system="004-P2",
        params={"batch_size": 64, "learning_rate": 5e-3, "weight_decay": 5e-4, "label_smoothing": 0.0, "dropout": 0.0},
    ),
)


def plan(dataset: str, suits: Suits) -> StudyPlan:
    """The plan for a data set and what suits it."""
    space = {
        # images in a step: few leave many noisy steps in an epoch, many make an epoch quick
        "batch_size": CategoricalDistribution(suits.batch_sizes),
        # per step, at the peak: on the digits .01 to .1 come out alike at some batch size, .3 fails at small ones
        "learning_rate": FloatDistribution(3e-3, 3e-1, log=True),
        # L2 gradient per unit of weight: a decade on either side of the customary 5e-4
        "weight_decay": FloatDistribution(5e-5, 5e-3, log=True),
        # fraction of the target spread over all classes: beyond .2 the network only learns to be unsure
        "label_smoothing": FloatDistribution(0.0, 0.2),
        # fraction of the 512 features dropped before the last layer: the reference systems use up to .5
        "dropout": FloatDistribution(0.0, 0.5),
    }
    epochs = min(15, suits.trial_epochs)
    return StudyPlan(
        recipe=Recipe(
            plan="part2",
            trainer="resnet",
            dataset=dataset,
            epochs=epochs,
            seed=0,
            params={
                "architecture": "resnet18",
                "stem": "3x3",
                "weights": "",
                "optimizer": "sgd",
                "momentum": 0.9,
                "schedule": "cosine",
                "warmup": 0.2,
            },
        ),
        space=space,
        epochs=epochs,
        confirm_epochs=epochs,  # a confirmation repeats what the trial claims, on another seed and other images
        retrain_epochs=min(100, suits.retrain_epochs),
        baselines=fitted(_BASELINES, space),
    )
