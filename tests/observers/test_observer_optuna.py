"""The published copy, proved by stock Optuna reading the database."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, distribution_to_json
from optuna.trial import FrozenTrial, TrialState

from orchestrator.errors import Mismatch, Unavailable
from orchestrator.observers.optuna import PublishedStudy, open_copy
from orchestrator.observers.replay import replay
from orchestrator.observers.subprocess_observer import SubprocessObserver
from orchestrator.record import Epoch, Failure, FailureKind, Kind, RunRecord, Status
from tests.helpers.observed_runs import STARTED, UUID, curve, ended, eventually, running, seen, study_of

SPACE = {"learning_rate": FloatDistribution(1e-4, 1.0, log=True), "batch_size": CategoricalDistribution([32, 64, 128])}
Copier = Callable[..., PublishedStudy]


def configuration(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "url": f"sqlite:///{folder}/optuna.db",
        "study": "part2",
        "uuid": UUID,
        "direction": "maximize",
        "distributions": {name: distribution_to_json(distribution) for name, distribution in SPACE.items()},
        **changes,
    }


@pytest.fixture
def copier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Copier]:
    """Opens a copy in this process, which writes each change at once; connections that a test left are closed."""
    monkeypatch.setattr("orchestrator.observers.optuna._BETWEEN_WRITINGS", 0.0)
    opened = []

    def start(**changes: Any) -> PublishedStudy:
        opened.append(open_copy(configuration(tmp_path, **changes)))
        return opened[-1]

    yield start
    for copy in opened:
        copy._storage.engine.dispose()


@contextlib.contextmanager
def stock(folder: Path, name: str = "part2") -> Iterator[optuna.Study]:
    """The study as `optuna.load_study` gives it to a colleague."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/optuna.db")
    try:
        yield optuna.load_study(study_name=name, storage=storage)
    finally:
        storage.engine.dispose()


def trials(folder: Path) -> list[FrozenTrial]:
    with stock(folder) as study:
        return study.trials


def comparable(trial: FrozenTrial) -> tuple[Any, ...]:
    """All of a trial but the ids of the database and the times that it sets itself."""
    return (
        trial.number,
        trial.state,
        trial.values,
        trial.params,
        trial.distributions,
        trial.intermediate_values,
        trial.user_attrs,
        trial.datetime_start,
    )


def test_stock_optuna_sees_the_study(copier: Copier, tmp_path: Path) -> None:
    copy = copier()
    for finished, epochs in study_of(4):
        record = running(finished.number)
        copy.opened(record, [])
        for epoch in epochs:
            copy.measured(seen(record, epochs[: epoch.number]), epoch)
        copy.closed(finished)
    assert copy.finish(10) is None
    with stock(tmp_path) as study:
        assert study.direction is optuna.study.StudyDirection.MAXIMIZE
        assert study.user_attrs == {"uuid": UUID}
        assert study.best_trial.number == 3
        assert study.best_value == 0.33
        found = study.trials
    assert [trial.number for trial in found] == [0, 1, 2, 3]
    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.COMPLETE]
    assert [trial.state for trial in found] == states
    assert [trial.value for trial in found] == [0.3, 0.31, None, 0.33]
    assert found[0].params == {"learning_rate": 0.01, "batch_size": 64}
    assert found[0].distributions == SPACE
    assert found[0].intermediate_values == {1: 0.1, 2: 0.2, 3: 0.3}
    assert found[0].datetime_start is not None
    assert found[0].datetime_start.timestamp() == STARTED
    wanted = {"run_id": "part2/trials/0000", "reference": "001-P2", "status": "COMPLETE", "best_epoch": 3, "seconds": 1.5}
    assert wanted.items() <= found[0].user_attrs.items()
    assert found[0].user_attrs["val_loss"] == 2.5 / 3
    assert found[2].user_attrs["failure"] == "crashed: ValueError: broken"


@pytest.mark.parametrize("kind", FailureKind)
def test_stock_optuna_sees_why_a_setting_is_infeasible(copier: Copier, tmp_path: Path, kind: FailureKind) -> None:
    """However it came to the copy: while the trial ran, or all at once."""
    copy = copier()
    failed = [
        replace(ended(running(number), [], Status.FAILED), failure=Failure(kind=kind, message="no room")) for number in range(2)
    ]
    copy.opened(running(0), [])
    copy.closed(failed[0])
    replay(copy, [(failed[1], [])])
    assert copy.finish(10) is None
    again = copier()
    replay(again, [(record, []) for record in failed])
    assert again.finish(10) is None
    infeasible = {kind.value: 1.0} if kind in (FailureKind.OUT_OF_MEMORY, FailureKind.DIVERGED) else {}
    assert [(trial.state, trial.constraints) for trial in trials(tmp_path)] == [(TrialState.FAIL, infeasible)] * 2


def test_intermediate_values_are_what_the_trial_was_worth(copier: Copier, tmp_path: Path) -> None:
    accuracies = [0.3, 0.2, float("nan"), 0.4, float("inf")]
    epochs = [replace(epoch, val_acc=value) for epoch, value in zip(curve(5), accuracies, strict=True)]
    late = [replace(epoch, val_acc=value) for epoch, value in zip(curve(3), [float("nan"), 0.5, 0.1], strict=True)]
    copy = copier()
    replay(copy, [(ended(running(0), epochs, Status.PRUNED), epochs), (ended(running(1), late), late)])
    first, second = trials(tmp_path)
    assert first.intermediate_values == {1: 0.3, 2: 0.3, 3: 0.3, 4: 0.4, 5: 0.4}
    assert first.value == 0.4
    assert second.intermediate_values == {2: 0.5, 3: 0.5}


def test_a_trial_that_never_measured_anything_finite_has_no_value(copier: Copier, tmp_path: Path) -> None:
    epochs = [replace(curve(1)[0], val_acc=float("nan"), val_loss=float("nan"))]
    copy = copier()
    replay(copy, [(ended(running(n), epochs, state), epochs) for n, state in enumerate([Status.COMPLETE, Status.PRUNED])])
    assert copy.finish(10) is None
    complete, pruned = trials(tmp_path)
    assert (complete.state, complete.value) == (TrialState.FAIL, None)
    assert complete.user_attrs["status"] == "COMPLETE"
    assert (pruned.state, pruned.value, pruned.intermediate_values) == (TrialState.PRUNED, None, {})


def test_running_and_paused_trials_are_seen_as_running(copier: Copier, tmp_path: Path) -> None:
    copy = copier()
    epochs = curve(3)
    copy.opened(running(0), [])
    assert [trial.state for trial in trials(tmp_path)] == [TrialState.RUNNING]
    copy.measured(seen(running(0), epochs[:1]), epochs[0])
    assert trials(tmp_path)[0].intermediate_values == {1: 0.1}
    copy.closed(replace(seen(running(0), epochs[:1]), status=Status.PAUSED))
    paused = trials(tmp_path)[0]
    assert (paused.state, paused.user_attrs["status"]) == (TrialState.RUNNING, "PAUSED")
    copy.opened(seen(running(0), epochs[:1]), epochs[:1])
    copy.measured(seen(running(0), epochs[:2]), epochs[1])
    copy.closed(ended(running(0), epochs[:2]))
    done = trials(tmp_path)[0]
    assert (done.state, done.intermediate_values) == (TrialState.COMPLETE, {1: 0.1, 2: 0.2})


def test_only_trials_are_part_of_the_study(copier: Copier, tmp_path: Path) -> None:
    copy = copier()
    for kind in (Kind.RETRAIN, Kind.CONFIRM, Kind.SINGLE):
        copy.opened(running(0, kind), [])
        copy.measured(seen(running(0, kind), curve(1)), curve(1)[0])
        copy.closed(ended(running(0, kind), curve(1)))
    assert trials(tmp_path) == []


def test_a_replay_of_what_is_there_writes_nothing(copier: Copier, tmp_path: Path) -> None:
    runs = [*study_of(4), (seen(running(4), curve(2)), curve(2))]
    replay(copier(), runs)
    before = trials(tmp_path)
    database = sqlite3.connect(tmp_path / "optuna.db")
    with contextlib.closing(database):
        version = database.execute("PRAGMA data_version").fetchone()
        replay(copier(), runs)
        assert database.execute("PRAGMA data_version").fetchone() == version
    assert trials(tmp_path) == before


def test_a_new_attempt_measures_again_and_nothing_is_doubled(copier: Copier, tmp_path: Path) -> None:
    epochs = curve(4)
    copy = copier()
    replay(copy, [(seen(running(0), epochs[:3]), epochs[:3])])
    number = trials(tmp_path)[0]._trial_id
    again = replace(running(0), attempt=2)
    copy.opened(again, epochs[:1])
    other = replace(epochs[1], val_acc=0.15)
    copy.measured(seen(again, [epochs[0], other]), other)
    assert trials(tmp_path)[0].intermediate_values == {1: 0.1, 2: 0.15, 3: 0.3}
    copy.measured(seen(again, [epochs[0], other, epochs[2]]), epochs[2])
    copy.closed(ended(again, [epochs[0], other, epochs[2]]))
    (trial,) = trials(tmp_path)
    assert trial.intermediate_values == {1: 0.1, 2: 0.15, 3: 0.3}
    assert trial._trial_id == number


def test_epochs_that_an_earlier_attempt_published_do_not_stay(copier: Copier, tmp_path: Path) -> None:
    copy = copier()
    replay(copy, [(seen(running(0), curve(3)), curve(3))])
    copy.opened(replace(running(0), attempt=2), [])
    copy.closed(ended(running(0), curve(1)[:0], Status.FAILED))
    (trial,) = trials(tmp_path)
    assert (trial.state, trial.intermediate_values) == (TrialState.FAIL, {})


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


def test_two_studies_share_a_database(copier: Copier, tmp_path: Path) -> None:
    first, second = copier(), copier(study="part3", uuid="another-uuid", direction="minimize")
    for number in range(3):
        replay(first, [study_of(3)[number]])
        replay(second, [study_of(3)[number]])
    assert len(trials(tmp_path)) == 3
    with stock(tmp_path, "part3") as study:
        assert [trial.number for trial in study.trials] == [0, 1, 2]
        assert study.direction is optuna.study.StudyDirection.MINIMIZE


def test_a_number_without_a_record_is_taken_so_that_the_others_keep_theirs(copier: Copier, tmp_path: Path) -> None:
    runs = study_of(4)
    copy = copier()
    replay(copy, [runs[0], runs[3]])
    assert [(trial.number, trial.state) for trial in trials(tmp_path)] == [
        (0, TrialState.COMPLETE),
        (1, TrialState.FAIL),
        (2, TrialState.FAIL),
        (3, TrialState.COMPLETE),
    ]
    replay(copy, runs[1:3])
    assert [trial.params.get("batch_size") for trial in trials(tmp_path)] == [64] * 4


def test_a_value_outside_the_space_is_told_and_costs_nothing_else(copier: Copier, tmp_path: Path) -> None:
    copy = copier()
    replay(copy, [(ended(running(0, learning_rate=7.0), curve(2)), curve(2)), *study_of(2)[1:]])
    first, second = trials(tmp_path)
    assert first.params == {"batch_size": 64}
    assert first.user_attrs["learning_rate outside the space"] == 7.0
    assert second.params == {"learning_rate": 0.01, "batch_size": 64}


def test_an_outage_costs_nothing_but_time(copier: Copier, tmp_path: Path) -> None:
    runs = study_of(5)
    copy = copier()
    replay(copy, runs[:1])
    current, epochs = running(1), curve(3)
    copy.opened(current, [])
    copy.measured(seen(current, epochs[:1]), epochs[0])
    with contextlib.closing(sqlite3.connect(tmp_path / "optuna.db")) as database:
        database.execute("ALTER TABLE trials RENAME TO away")
        database.commit()
        copy.measured(seen(current, epochs[:2]), epochs[1])
        copy.closed(ended(current, epochs[:2]))
        replay(copy, runs[2:4])
        warning = copy.finish(0.2)
        assert warning is not None
        assert "3 trials" in warning
        database.execute("ALTER TABLE away RENAME TO trials")
        database.commit()
    replay(copy, runs[4:])
    assert copy.finish(10) is None
    found = trials(tmp_path)
    assert [trial.number for trial in found] == [0, 1, 2, 3, 4]
    assert found[1].intermediate_values == {1: 0.1, 2: 0.2}
    assert all(trial.state.is_finished() for trial in found)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////no/such/folder/optuna.db",
        "postgresql+nodriver://someone:s3cr3t-w0rd@127.0.0.1:9/studies",
        "not a url",
    ],
)
def test_a_database_that_cannot_be_used_is_unavailable(copier: Copier, url: str) -> None:
    with pytest.raises(Unavailable) as caught:
        copier(url=url)
    assert "s3cr3t-w0rd" not in str(caught.value)


def test_a_file_that_is_no_database_is_unavailable_and_untouched(copier: Copier, tmp_path: Path) -> None:
    (tmp_path / "optuna.db").write_text("my notes, " * 100)
    with pytest.raises(Unavailable, match="not a database"):
        copier()
    assert (tmp_path / "optuna.db").read_text() == "my notes, " * 100


def in_process(folder: Path, **changes: Any) -> SubprocessObserver:
    return SubprocessObserver(
        "orchestrator.observers.optuna:open_copy",
        configuration(folder, **changes),
        log=folder / "logs" / "optuna.log",
        copy="the published copy of part2",
    )


def test_after_an_outage_the_process_completes_the_copy_without_being_told(tmp_path: Path) -> None:
    observer = in_process(tmp_path)
    assert observer.ready(30) is None
    with contextlib.closing(sqlite3.connect(tmp_path / "optuna.db")) as database:
        database.execute("ALTER TABLE trials RENAME TO away")
        database.commit()
        replay(observer, study_of(2))
        eventually(lambda: "cannot write the database" in (tmp_path / "logs" / "optuna.log").read_text())
        database.execute("ALTER TABLE away RENAME TO trials")
        database.commit()
    eventually(lambda: [trial.state for trial in trials(tmp_path)] == [TrialState.COMPLETE, TrialState.PRUNED])
    assert observer.finish(30) is None


def test_what_happens_between_two_writings_is_written_together(
    copier: Copier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = calls_of(study_of(3))
    one_by_one = copier(study="one by one")
    for call in calls:
        call(one_by_one)
    monkeypatch.setattr("orchestrator.observers.optuna._BETWEEN_WRITINGS", 1.0)
    together = copier(study="together")
    for call in calls:
        call(together)
    with stock(tmp_path, "together") as study:
        assert [trial.state for trial in study.trials] == [TrialState.RUNNING]  # the first change was written at once

    def written() -> bool:
        together.retry()
        return not together._outdated

    eventually(written)
    with stock(tmp_path, "together") as study, stock(tmp_path, "one by one") as other:
        assert [comparable(trial) for trial in study.trials] == [comparable(trial) for trial in other.trials]
        assert len(study.trials) == 3


def test_a_killed_process_is_completed_by_the_next(tmp_path: Path) -> None:
    runs = study_of(6)
    observer = in_process(tmp_path)
    assert observer.ready(30) is None
    replay(observer, runs[:5])
    eventually(lambda: len(trials(tmp_path)) >= 3)
    for child in psutil.Process().children():
        if "orchestrator.observers.subprocess_observer" in child.cmdline():
            child.kill()
    replay(observer, runs[5:])
    warning = observer.finish(20)
    assert warning is not None
    assert "orchestrate mirror" in warning
    observer = in_process(tmp_path)
    replay(observer, runs)
    assert observer.finish(60) is None
    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL] * 2
    assert [(trial.number, trial.state) for trial in trials(tmp_path)] == list(enumerate(states))


def test_a_mismatch_reaches_the_conductor(copier: Copier, tmp_path: Path) -> None:
    replay(copier(), study_of(1))
    observer = in_process(tmp_path, uuid="another-uuid")
    problem = observer.ready(30)
    assert problem is not None
    assert problem.kind == "mismatch"
    observer.finish(10)


def calls_of(runs: list[tuple[RunRecord, list[Epoch]]]) -> list[Callable[[PublishedStudy], None]]:
    """What a session tells of a study, as calls that may be cut off anywhere."""
    calls: list[Callable[[PublishedStudy], None]] = []
    for record, epochs in runs:
        first = running(record.number)
        calls.append(partial(PublishedStudy.opened, record=first, epochs=[]))
        for index, epoch in enumerate(epochs):
            calls.append(partial(PublishedStudy.measured, record=seen(first, epochs[: index + 1]), epoch=epoch))
        calls.append(partial(PublishedStudy.closed, record=record))
    return calls


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 14), told_again=st.booleans())
def test_wherever_a_session_is_cut_off_the_next_completes_the_copy(
    tmp_path_factory: pytest.TempPathFactory, cut: int, told_again: bool
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    runs = study_of(3)
    copy = open_copy(configuration(folder))
    for call in calls_of(runs)[:cut]:
        call(copy)
    if not told_again:  # the process died; else it lives and is told all of it again
        copy._storage.engine.dispose()
        copy = open_copy(configuration(folder))
    replay(copy, runs)
    assert copy.finish(10) is None
    found = trials(folder)
    assert [trial.number for trial in found] == [0, 1, 2]
    assert [trial.intermediate_values for trial in found] == [
        {epoch.number: epoch.val_acc for epoch in epochs} for _, epochs in runs
    ]
    assert [trial.user_attrs["status"] for trial in found] == ["COMPLETE", "PRUNED", "FAILED"]
