"""The content of study.json."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

from orchestrator.errors import InvalidInput
from orchestrator.recipe import MOST_EPOCHS, Split
from orchestrator.record import Metric
from orchestrator.storage.study_options import Limits, StudyOptions
from orchestrator.support.serialization import freeze, from_plain

# Of version 0.1, which wrote the fields of `Search` beside the others, and empty ones where nothing was searched.
_FORMERLY_BESIDE = ("plan", "plan_content", "options", "trials", "storage")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a study searches, and how many trials it was asked for."""

    plan: str  # the plan's name or file, as given
    plan_content: Mapping[str, Any]  # what the plan says, to notice when it changes
    options: StudyOptions
    trials: int  # finished trials asked for
    storage: str = ""  # database URL of the published copy, without password; "" is RUNS/optuna.db

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan_content", freeze(self.plan_content))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFile:
    """The content of study.json: what the study is, and how its latest session was limited."""

    uuid: str
    name: str
    created: float  # seconds since 1970-01-01 UTC
    search: Search | None = None  # None where all runs are single ones
    data_folder: str = ""  # absolute path, the default of later commands; "" where --data-dir was never given
    limits: Limits = field(default_factory=Limits)  # of the latest session
    ended: str = ""  # why the latest session ended with fewer trials; "" also while it runs, and after it was killed
    place: str = ""  # absolute path of its folder when it was last worked on; "" in files of version 0.1
    folder_number: int = 0  # of that folder, its inode: renaming keeps it, copying does not
    copied_from: tuple[str, ...] = ()  # uuids of the studies that this one is a copy of, the oldest first

    def require_search(self, instead: str = "begin a study under another name") -> Search:
        """The search. Raises InvalidInput, with what to do `instead`, where there are single runs only."""
        if self.search is None:
            raise InvalidInput(f"{self.name!r} holds single runs, not a search; {instead}")
        return self.search

    def with_data_folder(self, data_folder: str) -> "StudyFile":
        """The same with this default data folder; unchanged where it is ""."""
        return replace(self, data_folder=data_folder) if data_folder else self


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _PlanRecipe:
    trainer: str
    split: Split
    params: Mapping[str, Any]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _PlanContent:
    """What `Search.plan_content` holds. A class of its own only where it is checked: there it is compared as plain data."""

    recipe: _PlanRecipe
    space: Mapping[str, Mapping[str, Any]]  # hyperparameter -> what Optuna's own JSON text of its distribution says
    metric: Metric
    confirm_epochs: int
    retrain_epochs: int
    baselines: Mapping[str, Mapping[str, Any]]

    def __post_init__(self) -> None:
        for name in ("confirm_epochs", "retrain_epochs"):
            if not 1 <= getattr(self, name) <= MOST_EPOCHS:
                raise ValueError(f"{name} is {getattr(self, name)}, and a run has 1 to {MOST_EPOCHS:,}")


def readable(content: Any) -> Any:
    """What `upgraded` gives, after a look at what commands take for granted in it. Raises BadData naming what does not fit."""
    found = upgraded(content)
    search = found.get("search") if isinstance(found, dict) else None
    if isinstance(search, dict):
        from_plain(_PlanContent, search.get("plan_content"))
    return found


def upgraded(content: Any) -> Any:
    """The plain content of a study.json of this version, from one of this or of an earlier version."""
    if not isinstance(content, dict) or "plan" not in content:
        return content
    search = {name: content[name] for name in _FORMERLY_BESIDE if name in content}
    rest = {name: item for name, item in content.items() if name not in _FORMERLY_BESIDE}
    return {"search": search if search["plan"] else None, **rest}
