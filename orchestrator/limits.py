"""What a user allows one session of a study, beside its number of trials. It decides nothing about what a trial finds."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Each session has its own: they may differ when a study is resumed."""

    budget: float | None = None  # seconds of wall time for this session and all that comes after the search
    patience: int | None = None  # trials without a new best one

    replicate: bool = False  # train settings again with fresh seeds when the search space is exhausted, instead of ending
