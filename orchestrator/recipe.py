"""The one value that flows everywhere: everything that decides the outcome of one training run."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from orchestrator.support.serialization import canonical, freeze

MOST_EPOCHS = 100_000  # of a run; more is taken for a typing error
TrainOn = Literal["train", "train+confirmation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How the training images are divided: one stratified draw, decided by its own seed.

    `train_on` says which part is trained on; validation is never part of it, so that the best epoch can be chosen.
    """

    seed: int = 0
    train_on: TrainOn = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One training run, whole: which trainer, on which data, for how long, from which seed, with which parameters.

    `params` is nested plain data; a recipe that is run carries every hyperparameter of its trainer, defaults filled in.
    Study, confirmation, retraining and reproduction differ only in `dataclasses.replace`.
    """

    plan: str
    trainer: str
    dataset: str
    epochs: int  # passes over the training images
    seed: int  # of initialisation, shuffling, augmentation and dropout
    split: Split = field(default_factory=Split)
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, not {self.epochs}")
        if self.epochs > MOST_EPOCHS:
            raise ValueError(f"epochs must be at most {MOST_EPOCHS:,}, not {self.epochs:,}")
        object.__setattr__(self, "params", freeze(self.params))

    def fingerprint(self) -> str:
        """64 hexadecimal digits that name this recipe whole."""
        return hashlib.sha256(canonical(self).encode()).hexdigest()

    def configuration(self) -> str:
        """64 hexadecimal digits that name it without seed and epochs: two trials that share them are duplicates."""
        return replace(self, seed=0, epochs=1).fingerprint()
