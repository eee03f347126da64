"""What earlier sessions of a study have left: trials to resume, and trials that were ended while they were paused."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.record import RunRecord, Status
from orchestrator.storage.archive import StudyArchive


def ended_while_paused(archive: StudyArchive, records: Sequence[RunRecord]) -> list[RunRecord]:
    """The PRUNED trials that still have a checkpoint: they were paused, and ended with their session."""
    return [record for record in records if record.status is Status.PRUNED and archive.folder(record).resumable]


def suspend_interrupted(archive: StudyArchive, interrupted: Sequence[RunRecord]) -> list[RunRecord]:
    """Record interrupted runs as PAUSED, until more trials are asked for. Returns the new records."""
    paused = []
    for record in interrupted:
        run = archive.folder(record)
        paused.append(replace(record, status=Status.PAUSED, suspended=True).with_totals(run.epochs()))
        run.write(paused[-1])
    return paused
