"""Notices that a data set has changed between two runs of a study."""

from typing import final

from orchestrator.engine.recovery.retry_policy import study_error
from orchestrator.record import Failure, FailureKind, Kind, RunRecord
from orchestrator.storage.archive import StudyArchive


@final
class DataCheck:
    """Knows the digests of the data sets that the study's runs were trained on."""

    def __init__(self, archive: StudyArchive) -> None:
        self._archive = archive
        self._digests: dict[str, str] | None = None  # by data set; None: the records were not read yet

    def check(self, record: RunRecord, digest: str) -> None:
        """Raise BadData when the run's data set has other images than in the runs before: no two of them could be compared."""
        if self._digests is None:
            earlier = (run for run in self._archive.runs(*Kind) if run.provenance.data_digest)
            self._digests = {run.recipe.dataset: run.provenance.data_digest for run in earlier}
        dataset = record.recipe.dataset
        if self._digests.setdefault(dataset, digest) != digest:
            message = (
                f"the images or labels of {dataset} have changed since the other runs of this study were trained. "
                "Restore them, or begin a new study with --study NAME"
            )
            raise study_error(record.run_id, Failure(kind=FailureKind.DATA, message=message))
