"""What is kept of a simulated study: the same as a study's folder, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from orchestrator.record import Epoch, Kind, RunRecord


@final
@dataclass(slots=True, kw_only=True)
class MemoryRun:
    """Implements `contracts.RunArchive`. Simulated workers keep their checkpoints themselves: nothing is written to `path`."""

    path: Path
    record: RunRecord | None = None
    recorded: list[Epoch] = field(default_factory=list)

    def has_record(self) -> bool:
        """Whether there is a record."""
        return self.record is not None

    def write(self, record: RunRecord) -> None:
        """Replace the record."""
        self.record = record

    def append(self, epoch: Epoch) -> None:
        """Add one epoch; its number must be the next one."""
        if epoch.number != len(self.recorded) + 1:
            raise ValueError(f"{self.path} has {len(self.recorded)} epochs, and the next one says {epoch.number}")
        self.recorded.append(epoch)

    def epochs(self) -> list[Epoch]:
        """The recorded epochs."""
        return list(self.recorded)

    def begin_attempt(self, number: int) -> None:
        """Nothing is fenced off: simulated workers write nothing."""

    def end_attempts(self) -> None:
        """Nothing was fenced off."""

    def replace_epochs(self, epochs: Sequence[Epoch]) -> None:
        """Replace the recorded epochs by these."""
        self.recorded = list(epochs)

    @property
    def resumable(self) -> bool:
        """A simulated study is never extended."""
        return False

    def delete_checkpoints(self, *, last: bool = True, best: bool = True) -> None:
        """There are none here."""


@final
class MemoryStudy:
    """Implements `contracts.StudyArchive`."""

    def __init__(self) -> None:
        self._runs: dict[str, MemoryRun] = {}

    def run_id(self, kind: Kind, name: str) -> str:
        """How the run of this kind and name is called."""
        return f"simulation/{kind}/{name}"

    def folder(self, record: RunRecord) -> MemoryRun:
        """What is kept of the run that this record is of."""
        return self._runs.setdefault(record.run_id, MemoryRun(path=Path(record.run_id)))

    def runs(self, *kinds: Kind) -> list[RunRecord]:
        """The records of all runs of these kinds (of all kinds when none is named), in the order of their names."""
        records = [self._runs[run_id].record for run_id in sorted(self._runs)]
        return [record for record in records if record is not None and record.kind in (kinds or tuple(Kind))]
