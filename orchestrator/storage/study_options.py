"""The options of a study: those that its results depend on, and those that limit a session."""

from dataclasses import dataclass
from typing import final


@final
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
