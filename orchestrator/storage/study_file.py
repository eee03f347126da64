"""The content of study.json."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.storage.options import Limits, StudyOptions
from orchestrator.support.serialization import freeze


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFile:
    """The content of study.json: what the study is, and how long it was asked to run."""

    uuid: str
    name: str
    plan: str  # the plan's name or file, as given; "" where nothing is searched, and all runs are single ones
    plan_content: Mapping[str, Any]  # what the plan says, to notice when it changes
    options: StudyOptions
    trials: int  # finished trials asked for
    created: float  # seconds since 1970-01-01 UTC
    storage: str = ""  # where the published copy goes, without password; "" is RUNS/optuna.db
    limits: Limits = field(default_factory=Limits)  # of the latest session
    ended: str = ""  # why the latest session ended with fewer trials; "" also while it runs, and after it was killed

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan_content", freeze(self.plan_content))

    @property
    def searches(self) -> bool:
        """Whether there is a search, and not only single runs."""
        return bool(self.plan)
