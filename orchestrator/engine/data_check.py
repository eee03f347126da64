"""Notices that a data set has changed between two runs of a study."""

from typing import final

from orchestrator.engine.recovery.retry_policy import study_error
from orchestrator.record import Failure, FailureKind, Kind, RunRecord
from orchestrator.storage.archive import StudyArchive

_IMAGES, _CLASSES = "the images or labels", "the names of the classes"


@final
class DataCheck:
    """Knows the digests of the data sets that the study's runs were trained on."""

    def __init__(self, archive: StudyArchive) -> None:
        self._archive = archive
        self._digests: dict[tuple[str, str], str] = {}  # by data set and by what
        self._records_read = False

    def check(self, record: RunRecord, *, images: str, classes: str) -> None:
        """Raise BadData when the run's data set differs from that of the runs before: no two of them could be compared.

        Both are digests; "" where there are no names is compared with nothing.
        """
        if not self._records_read:
            for run in self._archive.runs(*Kind):
                self._learn(run.recipe.dataset, run.provenance.data_digest, run.provenance.classes_digest)
            self._records_read = True
        if changed := self._learn(record.recipe.dataset, images, classes):
            message = (
                f"{changed} of {record.recipe.dataset} have changed since the other runs of this study were trained. "
                "Restore them, or begin a new study with --study NAME"
            )
            raise study_error(record.run_id, Failure(kind=FailureKind.DATA, message=message))

    def _learn(self, dataset: str, images: str, classes: str) -> str:
        """What is not as in the first run that knew it; "" where all is."""
        for what, digest in ((_IMAGES, images), (_CLASSES, classes)):
            if digest and self._digests.setdefault((dataset, what), digest) != digest:
                return what
        return ""
