"""The trials of a study, as the conductor knows them."""

from collections.abc import Iterator
from typing import final

from orchestrator.record import RunRecord, Status


@final
class Trials:
    """The latest record of each trial, by number."""

    def __init__(self) -> None:
        self._records: dict[int, RunRecord] = {}
        self._configurations: dict[str, RunRecord] = {}  # of each configuration, the first trial that has it
        self.enqueued: set[str | None] = set()  # the files of enqueued settings that have a trial
        self.finished = 0

    def note(self, record: RunRecord) -> None:
        """Replace the record of a trial, or add that of a new one."""
        before = self._records.get(record.number)
        if before is None:
            self._configurations.setdefault(record.recipe.configuration(), record)
            self.enqueued.add(record.enqueued)
        self.finished += record.status.finished - (before is not None and before.status.finished)
        self._records[record.number] = record

    def replace(self, record: RunRecord) -> None:
        """Replace the record of a trial that the session does not resume."""
        self._records[record.number] = record

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[RunRecord]:
        return iter(self._records.values())

    @property
    def next_number(self) -> int:
        """The number of the next new trial."""
        return max(self._records, default=-1) + 1

    def paused(self) -> list[RunRecord]:
        """The trials that are PAUSED."""
        return [record for record in self._records.values() if record.status is Status.PAUSED]

    def first_with(self, configuration: str) -> RunRecord | None:
        """The first trial of a configuration."""
        return self._configurations.get(configuration)

    def named(self, run_id: str | None) -> RunRecord | None:
        """The trial with this run_id."""
        return next((record for record in self._records.values() if record.run_id == run_id), None)

    def in_order(self) -> list[RunRecord]:
        """All records by number."""
        return [self._records[number] for number in sorted(self._records)]
