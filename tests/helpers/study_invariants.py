"""What must be true of a study after everything that can happen to it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import optuna

from orchestrator.record import Kind, RunRecord, Status
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder

_STATES = {Status.COMPLETE: "COMPLETE", Status.PRUNED: "PRUNED", Status.FAILED: "FAIL"}


def study_in(tmp_path: Path, name: str) -> StudyFolder:
    return RunsFolder(tmp_path / "runs").study(name)


def assert_readable(folder: StudyFolder) -> None:
    """In the middle of things: no trial twice, each epoch once, and a finished trial has the epochs that its record counts."""
    records = folder.runs(Kind.TRIAL)
    assert [record.number for record in records] == list(range(len(records)))
    for record in records:
        numbers = [epoch.number for epoch in folder.folder(record).epochs()]
        assert numbers == list(range(1, len(numbers) + 1))
        assert not record.status.finished or len(numbers) == record.epochs


def assert_whole(folder: StudyFolder, trials: int, storage: str = "") -> None:
    """Exactly so many finished trials, none RUNNING, none twice, each epoch once, and the published copy says the same."""
    records = folder.runs(Kind.TRIAL)
    assert [record.number for record in records] == list(range(trials))
    assert all(record.status.finished for record in records)
    assert len({record.recipe.configuration() for record in records}) == trials
    assert_readable(folder)
    with published(folder.name, storage or f"sqlite:///{folder.path.parent / 'optuna.db'}") as copy:
        _assert_same(copy, folder, records)


@contextmanager
def published(name: str, storage: str) -> Iterator[optuna.Study]:
    """A study as stock Optuna sees it; the database is closed afterwards."""
    database = optuna.storages.RDBStorage(storage)
    try:
        yield optuna.load_study(study_name=name, storage=database)
    finally:
        database.remove_session()
        database.engine.dispose()


def _assert_same(copy: optuna.Study, folder: StudyFolder, records: Sequence[RunRecord]) -> None:
    assert [trial.state.name for trial in copy.trials] == [_STATES[record.status] for record in records]
    for trial, record in zip(copy.trials, records, strict=True):
        assert trial.params == {name: record.recipe.params[name] for name in copy.trials[0].distributions}
        epochs = folder.folder(record).epochs()
        values = {epoch.number: record.metric.best(epochs[: epoch.number]) for epoch in epochs}
        assert trial.intermediate_values == {number: best.value for number, best in values.items() if best is not None}
        if record.status is Status.COMPLETE:
            assert record.best is not None
            assert trial.value == record.best.value
