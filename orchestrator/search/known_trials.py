"""What a search knows of the study's trials, from their records alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

from orchestrator.errors import BadData
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
    """The trials of a study by number, and the points of the search space that they take."""

    def __init__(self, points: Points) -> None:
        self._points = points
        self._trials: dict[int, KnownTrial] = {}
        self.taken: set[Coordinates] = set()
        self.references: set[str | None] = set()

    def learn(self, record: RunRecord, values: Iterable[float]) -> KnownTrial:
        """Replace what is known of a trial by its record and its objective value after each epoch (NaN: none yet).

        Raises BadData for a record whose setting is outside the space.
        """
        before = self._trials.get(record.number)
        if before is None:
            params, coordinates = self._place(record)
            self.taken.add(coordinates)
            self.references.add(record.reference)
        else:
            params = before.params
        failure = record.failure
        now = KnownTrial(
            curve=Curve(run_id=record.run_id, number=record.number, status=record.status, values=tuple(values)),
            params=params,
            reference=record.reference,
            infeasible=failure.kind if failure is not None and failure.kind.of_setting else None,
        )
        self._trials[record.number] = now
        return now

    def _place(self, record: RunRecord) -> tuple[Mapping[str, Any], Coordinates]:
        """The trial's setting as the space writes it, and its coordinates."""
        try:
            return self._points.setting(record.recipe.params), self._points.coordinates(record.recipe.params)
        except ValueError as error:
            raise BadData(
                f"the setting of {record.run_id} is outside the study's search space ({error}); "
                "restore its record from a backup, or move its folder away"
            ) from error

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
