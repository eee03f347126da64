"""The options of a study: those that its results depend on, and those that limit a session."""

import math
from dataclasses import dataclass
from typing import final

from orchestrator.recipe import MOST_EPOCHS


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOptions:
    """The options that decide what a study finds: kept in study.json, and refused when they differ on resume."""

    dataset: str
    seed: int
    epochs: int  # of a trial
    pruner: str
    sampler: str

    def __post_init__(self) -> None:
        if not 1 <= self.epochs <= MOST_EPOCHS:
            raise ValueError(f"epochs is {self.epochs}, and a trial has 1 to {MOST_EPOCHS:,}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Each session has its own: they may differ when a study is resumed."""

    budget: float | None = None  # seconds of wall time for this session and all that comes after the search
    patience: int | None = None  # trials without a new best one
    replicate: bool = False  # train settings again with fresh seeds when the search space is exhausted, instead of ending

    def __post_init__(self) -> None:
        if self.budget is not None and not 0 <= self.budget < math.inf:
            raise ValueError(f"budget is {self.budget}, no duration")
