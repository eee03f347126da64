"""Which checkpoints of finished trials are kept."""

from typing import final

from orchestrator.record import RunRecord, Status
from orchestrator.storage.archive import StudyArchive

# Best trials whose weights are kept, to be loaded and compared; a retrain starts from scratch and needs none.
BEST_KEPT = 3


@final
class KeptCheckpoints:
    """Deletes checkpoints that nothing needs. With `resumable`, a PRUNED trial may be resumed when the study is extended."""

    def __init__(self, archive: StudyArchive, *, resumable: bool) -> None:
        self._archive = archive
        self._resumable = resumable
        self._best: list[RunRecord] = []

    def tidy(self, finished: RunRecord) -> None:
        """Delete a finished trial's last checkpoint, and all but the best few to predict with."""
        pruned = finished.status is Status.PRUNED
        self._archive.folder(finished).delete_checkpoints(
            last=not (pruned and self._resumable), best=finished.status is not Status.COMPLETE
        )
        if finished.status is not Status.COMPLETE:
            return
        ranked = sorted([*self._best, finished], key=RunRecord.order)
        self._best = ranked[:BEST_KEPT]
        for record in ranked[BEST_KEPT:]:
            self._archive.folder(record).delete_checkpoints()
