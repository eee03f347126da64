"""What a search knows of the study's trials, from their records alone."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

from orchestrator.record import FailureKind, RunRecord
from orchestrator.scheduling.base import Curve
from orchestrator.search.unused_points import Coordinates, Points


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTrial:
    """A trial as the search sees it: its learning curve, its sampled hyperparameters, and whether they are infeasible."""

    curve: Curve
    params: Mapping[str, Any]
    reference: str | None = None  # the reference system that the setting is from
    infeasible: FailureKind | None = None  # why no trial can have this setting


@final
class KnownTrials:
    """The trials of a study by number, and the points of the search space that they take. `names` are sampled."""

    def __init__(self, names: Collection[str], points: Points) -> None:
        self._names = tuple(names)
        self._points = points
        self._trials: dict[int, KnownTrial] = {}
        self.taken: set[Coordinates] = set()
        self.references: set[str | None] = set()

    def learn(self, record: RunRecord, values: Iterable[float]) -> KnownTrial:
        """Replace what is known of a trial by its record and its objective value after each epoch (NaN: none yet)."""
        before = self._trials.get(record.number)
        if before is None:
            self.taken.add(self._points.coordinates(record.recipe.params))
            self.references.add(record.reference)
        failure = record.failure
        now = KnownTrial(
            curve=Curve(run_id=record.run_id, number=record.number, status=record.status, values=tuple(values)),
            params=before.params if before is not None else {name: record.recipe.params[name] for name in self._names},
            reference=record.reference,
            infeasible=failure.kind if failure is not None and failure.kind.of_setting else None,
        )
        self._trials[record.number] = now
        return now

    @property
    def end(self) -> int:
        """One more than the highest number."""
        return max(self._trials, default=-1) + 1

    def get(self, number: int) -> KnownTrial | None:
        """What is known of a trial; None for one without a record."""
        return self._trials.get(number)

    def __getitem__(self, number: int) -> KnownTrial:
        """What is known of a trial. Raises KeyError for one without a record."""
        return self._trials[number]

    def others(self, number: int) -> list[Curve]:
        """The curves of all trials but this one."""
        return [trial.curve for other, trial in self._trials.items() if other != number]
