"""What may be named how, and the options of a study that its results depend on."""

from dataclasses import dataclass
from typing import final


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOptions:
    """The options that decide what a study finds: kept in study.json, and refused when they differ on resume."""

    dataset: str
    seed: int
    epochs: int  # of a trial
    pruner: str
    sampler: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Each session has its own: they may differ when a study is resumed."""

    budget: float | None = None  # seconds of wall time for this session and all that comes after the search
    patience: int | None = None  # trials without a new best one

    replicate: bool = False  # train settings again with fresh seeds when the search space is exhausted, instead of ending
