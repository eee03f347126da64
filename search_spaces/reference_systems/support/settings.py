"""Settings that several reference systems share: the starter's frame, and what the reports took from each other."""

from typing import Any

# torch's SGD as all of them use it, with momentum but without Nesterov's look-ahead.
SGD: dict[str, Any] = {"optimizer": {"name": "sgd", "nesterov": False}, "momentum": 0.9}
ADAM: dict[str, Any] = {"optimizer": "adam"}

# None of them but 004-P3 has a warm-up, and nearly all step their schedule once per epoch.
PER_EPOCH: dict[str, Any] = {"warmup": 0.0}
COSINE: dict[str, Any] = {**PER_EPOCH, "schedule": {"name": "cosine", "per": "epoch"}}


def falling(every: int, factor: float) -> dict[str, Any]:
    """The schedule that torch calls StepLR(every, factor), in epochs."""
    return {**PER_EPOCH, "schedule": {"name": "step", "every": every, "factor": factor}}


NO_AUGMENTATION: dict[str, Any] = {"augmentation": []}
CROP_AND_FLIP: tuple[Any, ...] = ({"name": "crop", "padding": 4}, "flip")
# The strengths of 000-P2, the only ones that are stated.
COLOR_JITTER: dict[str, Any] = {"name": "color-jitter", "brightness": 0.1, "contrast": 0.1, "saturation": 0.1, "hue": 0.05}

# Sentences that hold for several systems.
VALIDATION = "Validation images go through the evaluation transform; the report's went through the training augmentation."
SEEDED = "The seed acts; in the report's code it was never applied."
NO_NESTEROV = "The optimiser is SGD with momentum .9, as in the systems whose code is public."
JITTER_AS_000 = "The strengths of the colour jitter are not stated: those of 000-P2."
FIRST_WEIGHTS = "Which of the ImageNet weights is not stated: torchvision's first, IMAGENET1K_V1."
