"""For each hyperparameter of the shared training loop and of pretrained networks, a value other than its default."""

from typing import Any

# "IMAGENET1K_V1" is refused here: the weights are not there.
OTHER_VALUES: dict[str, Any] = {
    "optimizer": "adamw",
    "schedule": "constant",
    "weights": "IMAGENET1K_V1",
    "weights_sha256": "0" * 64,
    "phases": ({"epochs": 1, "layers": "head"},),
    "averaging": "ema",
    "augmentation": ({"name": "crop", "padding": 2},),
    "mixing": ("mixup",),
    "normalisation": "half",
    "center_crop": 6,
    "clip": 0.01,
    "patience": 1,
    "precision": "bfloat16",
    "resize": 16,
    "head": ({"units": 16},),
}
