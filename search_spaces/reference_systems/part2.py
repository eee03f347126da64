"""Part 2 of the challenge: larger convolutional networks, from scratch (and one that was not)."""

from typing import Any

from orchestrator.contracts import Reported
from search_spaces.reference_systems.support.settings import (
    ADAM,
    COLOR_JITTER,
    COSINE,
    CROP_AND_FLIP,
    JITTER_AS_000,
    NO_NESTEROV,
    SEEDED,
    SGD,
    VALIDATION,
    falling,
)
from search_spaces.reference_systems.support.system import ReportedSystem

# 000-P2 and 000-P3 are one network: conv1 3×3, the maximum pooling kept, two further layers before the classes.
RESNET34_OF_000: dict[str, Any] = {
    "architecture": "resnet34",
    "stem": "3x3-maxpool",
    "head": [{"units": 512}, {"units": 256, "dropout": 0.3}],
    "dropout": 0.3,
}
DROPOUTS_OF_000 = "Dropout .3 acts twice: before the layer of 256 units and before the classes."
POOLING_KEPT = "The maximum pooling stays, as in the report's code, which meant to replace it and did not: the stem says so here."

SYSTEMS = (
    ReportedSystem(
        system="000-P2",
        name="resnet34-scratch-maxpool-jitter",
        trainer="resnet",
        parameters=21_696_676,
        epochs=10,
        params={
            **RESNET34_OF_000,
            "weights": "",
            **SGD,
            **COSINE,
            "augmentation": [*CROP_AND_FLIP, COLOR_JITTER],
            "batch_size": 128,
            "learning_rate": 0.1,
            "weight_decay": 5e-4,
            "normalisation": "cifar",
        },
        reported=Reported(),
        choices=(
            POOLING_KEPT,
            DROPOUTS_OF_000,
            "The report says rotation by 20 degrees, its code colour jitter: the code is followed.",
            VALIDATION,
            SEEDED,
        ),
    ),
    ReportedSystem(
        system="001-P2",
        name="resnet18-scratch-batch8",
        trainer="resnet",
        parameters=11_220_132,
        epochs=5,
        params={
            "architecture": "resnet18",
            "stem": "3x3",
            "weights": "",
            **SGD,
            **falling(every=1, factor=0.9),
            "augmentation": CROP_AND_FLIP,
            "batch_size": 8,
            "learning_rate": 0.1,
            "weight_decay": 0.0,
            "normalisation": "cifar",
        },
        reported=Reported(val_acc=0.2933, test_acc=0.3047),
        choices=(VALIDATION, SEEDED),
    ),
    ReportedSystem(
        system="002-P2",
        name="resnet50-scratch-stock-stem",
        trainer="resnet",
        parameters=23_712_932,
        epochs=20,
        params={
            "architecture": "resnet50",
            "stem": "stock",
            "weights": "",
            **ADAM,
            **falling(every=7, factor=0.1),
            "augmentation": CROP_AND_FLIP,
            "batch_size": 128,
            "learning_rate": 1e-3,
            "weight_decay": 0.0,
            "normalisation": "cifar",
        },
        reported=Reported(val_acc=0.3468, test_acc=0.3712),
        choices=(VALIDATION,),
    ),
    ReportedSystem(
        system="003-P2",
        name="resnet34-imagenet-smoothing",
        trainer="resnet",
        parameters=21_335_972,
        epochs=100,
        params={
            "architecture": "resnet34",
            "stem": "stock",
            "weights": "IMAGENET1K_V1",
            **ADAM,
            **COSINE,
            "augmentation": [*CROP_AND_FLIP, COLOR_JITTER],
            "batch_size": 128,
            "learning_rate": 1e-3,
            "weight_decay": 5e-4,
            "label_smoothing": 0.1,
            "normalisation": "imagenet",
        },
        reported=Reported(val_acc=0.5677, train_acc=0.9173, remark="a second run: val_acc .528, train_acc .6899"),
        choices=(
            "Augmentation, normalisation, optimiser and label smoothing are not stated: those of its part 3, Adam at 1e-3.",
            "Weight decay is not stated: 5e-4, as in its part 3.",
            JITTER_AS_000,
            "The stem is not stated: the stock one, which keeps all of the pretrained weights, at 32 pixels.",
        ),
    ),
    ReportedSystem(
        system="004-P2",
        name="resnet18-scratch-batch64-cosine",
        trainer="resnet",
        parameters=11_220_132,
        epochs=5,
        params={
            "architecture": "resnet18",
            "stem": "3x3",
            "weights": "",
            **SGD,
            **COSINE,
            "augmentation": CROP_AND_FLIP,
            "batch_size": 64,
            "learning_rate": 5e-3,
            "weight_decay": 5e-4,
            "normalisation": "cifar",
        },
        reported=Reported(kaggle=0.33902),
        choices=(
            NO_NESTEROV + " The report says SGD alone.",
            "Weight decay is not stated: 5e-4, as in its part 3.",
            "Augmentation is not stated: crop and flip, with which its part 3 begins.",
        ),
    ),
)
