"""Part 1 of the challenge: simple convolutional networks."""

from typing import Any

from orchestrator.contracts import Reported
from search_spaces.reference_systems.support.settings import (
    ADAM,
    COSINE,
    CROP_AND_FLIP,
    NO_AUGMENTATION,
    NO_NESTEROV,
    PER_EPOCH,
    SEEDED,
    SGD,
    VALIDATION,
    falling,
)
from search_spaces.reference_systems.support.system import ReportedSystem


def _blocks(*channels: int, **settings: Any) -> list[dict[str, Any]]:
    """A 3×3 convolution, ReLU and 2×2 max pooling for each number of channels; without BatchNorm, unless `settings` say so."""
    return [{"channels": number, "batch_norm": False, **settings} for number in channels]


_STARTER = "What the report does not state of the input is the starter's, as in 000-P1 and 001-P1, which keep its rate .1, too: "

SYSTEMS = (
    ReportedSystem(
        system="000-P1",
        name="cnn-3conv-batch512-cosine",
        trainer="cnn",
        parameters=643_492,
        epochs=5,
        params={
            "blocks": _blocks(32, 64, 128),
            "hidden": [256],
            **SGD,
            **COSINE,
            **NO_AUGMENTATION,
            "batch_size": 512,
            "learning_rate": 0.1,
            "weight_decay": 5e-4,
            "normalisation": "half",
        },
        reported=Reported(remark="poor"),
        choices=(SEEDED,),
    ),
    ReportedSystem(
        system="001-P1",
        name="cnn-2conv-batch8",
        trainer="cnn",
        parameters=1_093_924,
        epochs=5,
        params={
            "blocks": _blocks(32, 64),
            "hidden": [256],
            **SGD,
            **falling(every=1, factor=0.9),
            **NO_AUGMENTATION,
            "batch_size": 8,
            "learning_rate": 0.1,
            "weight_decay": 0.0,
            "normalisation": "half",
        },
        reported=Reported(val_acc=0.0090, test_acc=0.0100, remark="chance: it diverged"),
        choices=(SEEDED, "A run that stays at chance is stopped and marked; the report trained it to the end and quoted it."),
    ),
    ReportedSystem(
        system="002-P1",
        name="cnn-1conv-adam",
        trainer="cnn",
        parameters=820_196,
        epochs=20,
        params={
            "blocks": _blocks(32),
            "hidden": [],
            **ADAM,
            **falling(every=7, factor=0.1),
            "augmentation": CROP_AND_FLIP,
            "batch_size": 128,
            "learning_rate": 1e-3,
            "weight_decay": 0.0,
            "normalisation": "cifar",
        },
        reported=Reported(val_acc=0.3361, test_acc=0.3726),
        choices=(
            VALIDATION,
            "Its description has 896 parameters in the convolution and 819,300 in the last layer, 820,196 in all; the report "
            "counts 820,996, which nothing that it describes adds up to.",
        ),
    ),
    ReportedSystem(
        system="003-P1",
        name="cnn-4conv-batchnorm",
        trainer="cnn",
        parameters=965_476,
        epochs=5,
        params={
            "blocks": _blocks(32, 64, 128, 256, batch_norm=True, bias=True),
            "hidden": [512],
            **SGD,
            **falling(every=2, factor=0.1),
            **NO_AUGMENTATION,
            "batch_size": 128,
            "learning_rate": 0.1,
            "weight_decay": 0.0,
            "normalisation": "half",
        },
        reported=Reported(val_acc=0.0098, remark="chance"),
        choices=(
            "The report's rate falls from .1 to .001 by epoch 4: StepLR(2, .1) fits.",
            "The batch size is not stated: 128, as in its other parts.",
            "The optimiser is not stated: SGD with momentum .9 and no weight decay, as in 001-P1, which has the same rate.",
            _STARTER + "no augmentation, normalisation by .5 and .5.",
            "The convolutions have biases, though BatchNorm follows: with them the number of parameters is the report's.",
            "A run that stays at chance is stopped and marked; the report trained it to the end and quoted it.",
        ),
    ),
    ReportedSystem(
        system="004-P1",
        name="cnn-3conv-dropout",
        trainer="cnn",
        parameters=643_492,
        epochs=5,
        params={
            "blocks": [*_blocks(32, 64), *_blocks(128, dropout=0.5)],
            "hidden": [256],
            **SGD,
            **PER_EPOCH,
            "schedule": "constant",
            "augmentation": CROP_AND_FLIP,
            "batch_size": 128,
            "learning_rate": 0.01,
            "weight_decay": 5e-4,
            "normalisation": "cifar",
        },
        reported=Reported(kaggle=0.17869),
        choices=(
            "The report's StepLR(10, .5) never falls in 5 epochs, a setting without effect: the rate is constant, and says so.",
            "The widths are not stated: 32, 64 and 128 channels and 256 units, as in 000-P1.",
            "Dropout acts once, where the report names it: between the last pooling and the first fully connected layer.",
            NO_NESTEROV + " The report says SGD alone.",
            "Weight decay is not stated: 5e-4, as in its part 3.",
            "Augmentation is not stated: crop and flip, with which its part 3 begins.",
            "The convolutions are 3×3 and padded by 1, as in the systems whose code is public.",
        ),
    ),
)
