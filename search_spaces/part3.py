"""Part 3 of the challenge: ResNet-50 from ImageNet weights, all layers trained on."""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from orchestrator.contracts import DataSetInfo, StudyPlan
from orchestrator.recipe import Recipe
from search_spaces._baselines import baselines
from search_spaces.reference_systems.part3 import SYSTEMS

DATASET = "cifar100"

# The weights were made with the stock stem at 224 pixels, where a picture's parts are many pixels wide. Enlarging the images
# four times keeps every weight and brings the parts near the size that the filters know: 32 pixels become 128, which the
# network reduces to 4×4 cells instead of one, for a third of the work of 224. The reference systems stopped at .63 with the
# stock stem at 32 pixels, and lost the first layer's weights with a stem of their own.
_ENLARGEMENT = 4

# Why the settings of these reference systems cannot be first trials: network, optimiser and schedule are the plan's.
_MISFITS = {
    "000-P3": "its optimiser is SGD, the plan's is AdamW",
    "001-P3": "its optimiser is SGD with StepLR(1, .9), the plan's AdamW with cosine; batch 8 is outside the range",
    "002-P3": "its optimiser is Adam with StepLR(7, .1), the plan's AdamW with cosine",
    "003-P3": "it trains in two phases, with Adam, whose weight decay is coupled; the plan in one, with AdamW",
    "004-P3": "its head has three layers and three dropouts, and its rate peaks at 5e-3, outside the range",
}


def plan(dataset: str, info: DataSetInfo) -> StudyPlan:
    """The plan for a data set."""
    space = {
        # images in a step: few leave many noisy steps in an epoch, many make an epoch quick
        "batch_size": CategoricalDistribution(info.batch_sizes),
        # per step, at the peak: lower hardly moves the new last layer in so few epochs, higher destroys the pretrained ones
        "learning_rate": FloatDistribution(3e-5, 3e-3, log=True),
        # decoupled, times the rate, per step: from no noticeable pull to a tenth of the weights over a run at the highest rate
        "weight_decay": FloatDistribution(1e-4, 1e-1, log=True),
        # fraction of the target spread over all classes: beyond .2 the network only learns to be unsure
        "label_smoothing": FloatDistribution(0.0, 0.2),
        # fraction of the 2,048 features dropped before the last layer: the reference systems use up to .5
        "dropout": FloatDistribution(0.0, 0.5),
    }
    epochs = min(5, info.trial_epochs)
    return StudyPlan(
        recipe=Recipe(
            plan="part3",
            trainer="resnet",
            dataset=dataset,
            epochs=epochs,
            seed=0,
            params={
                "architecture": "resnet50",
                "stem": "stock",
                "weights": "IMAGENET1K_V1",
                "resize": _ENLARGEMENT * info.size,
                "optimizer": "adamw",
                "momentum": 0.9,
                "schedule": "cosine",
                "warmup": 0.1,
            },
        ),
        space=space,
        epochs=epochs,
        confirm_epochs=epochs,  # a confirmation repeats what the trial claims, on another seed and other images
        retrain_epochs=min(20, info.retrain_epochs),
        baselines=baselines(SYSTEMS, space, _MISFITS),
    )
