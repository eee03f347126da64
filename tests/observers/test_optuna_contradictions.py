"""A database that contradicts the records, or belongs to another study."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial

from orchestrator.errors import Mismatch
from orchestrator.observers.replay import replay
from tests.helpers.observed_runs import curve, ended, running, seen, study_of
from tests.helpers.published_copies import Copier, comparable, stock, trials


def contradict_value(study: optuna.Study, database: sqlite3.Connection) -> None:
    database.execute("UPDATE trial_values SET value = 0.99 WHERE trial_id = 1")


def contradict_param(study: optuna.Study, database: sqlite3.Connection) -> None:
    database.execute("UPDATE trial_params SET param_value = 0.5 WHERE trial_id = 2 AND param_name = 'learning_rate'")


def contradict_end(study: optuna.Study, database: sqlite3.Connection) -> None:
    database.execute("UPDATE trials SET state = 'FAIL' WHERE trial_id = 5")  # of the trial that is running


def contradict_running_param(study: optuna.Study, database: sqlite3.Connection) -> None:
    database.execute("UPDATE trial_params SET param_value = 2 WHERE trial_id = 5 AND param_name = 'batch_size'")


def contradict_number(study: optuna.Study, database: sqlite3.Connection) -> None:
    study.enqueue_trial({"learning_rate": 0.3})  # by a colleague, into the copy


def contradict_existence(study: optuna.Study, database: sqlite3.Connection) -> None:
    optuna.delete_study(study_name="part2", storage=study._storage)


@pytest.mark.slow
@pytest.mark.parametrize(
    "contradict",
    [contradict_value, contradict_param, contradict_end, contradict_running_param, contradict_number, contradict_existence],
)
def test_a_copy_that_contradicts_the_records_is_written_again(
    copier: Copier, tmp_path: Path, contradict: Callable[[optuna.Study, sqlite3.Connection], None]
) -> None:
    runs = study_of(4)
    current, epochs = running(4), curve(3)
    replay(copier(), [*runs, (seen(current, epochs[:1]), epochs[:1])])
    with stock(tmp_path) as study, contextlib.closing(sqlite3.connect(tmp_path / "optuna.db")) as database:
        contradict(study, database)
        database.commit()
    copy = copier()
    replay(copy, [*runs, (seen(current, epochs[:1]), epochs[:1])])
    copy.measured(seen(current, epochs[:2]), epochs[1])
    copy.closed(ended(current, epochs[:2]))
    last = (ended(running(5), epochs), epochs)
    replay(copy, [last])
    assert copy.finish(10) is None

    other = tmp_path / "fresh"
    other.mkdir()
    fresh = copier(url=f"sqlite:///{other}/optuna.db")
    replay(fresh, [*runs, (ended(current, epochs[:2]), epochs[:2]), last])
    assert list(map(comparable, trials(tmp_path))) == list(map(comparable, trials(other)))


def test_a_copy_that_is_deleted_in_mid_study_is_written_again(copier: Copier, tmp_path: Path) -> None:
    runs = study_of(3)
    copy = copier()
    replay(copy, runs[:2])
    with stock(tmp_path) as study:
        optuna.delete_study(study_name="part2", storage=study._storage)
    replay(copy, runs[2:])
    assert copy.finish(10) is None
    assert [trial.user_attrs["status"] for trial in trials(tmp_path)] == ["COMPLETE", "PRUNED", "FAILED"]


def test_a_trial_that_takes_our_number_in_the_last_moment_is_noticed(
    copier: Copier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = study_of(2)
    copy = copier()
    replay(copy, runs[:1])
    create = copy._storage.create_new_trial

    def too_late(study_id: int, template: FrozenTrial) -> int:
        monkeypatch.undo()
        create(study_id)
        return create(study_id, template)

    monkeypatch.setattr(copy._storage, "create_new_trial", too_late)
    replay(copy, runs[1:])
    assert copy.finish(10) is None
    assert [trial.user_attrs.get("status") for trial in trials(tmp_path)] == ["COMPLETE", "PRUNED"]


def test_another_study_of_the_name_is_refused_and_untouched(copier: Copier, tmp_path: Path) -> None:
    runs = study_of(2)
    replay(copier(), runs)
    before = trials(tmp_path)
    with pytest.raises(Mismatch, match="another study 'part2'"):
        copier(uuid="another-uuid")
    assert trials(tmp_path) == before


def test_a_study_that_somebody_else_made_is_refused(copier: Copier, tmp_path: Path) -> None:
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/optuna.db")
    study = optuna.create_study(study_name="part2", storage=storage)
    study.optimize(lambda trial: 1.0, n_trials=1)
    storage.engine.dispose()
    with pytest.raises(Mismatch):
        copier()
    assert len(trials(tmp_path)) == 1
