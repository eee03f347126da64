"""The published copy, checked by stock Optuna reading the database."""

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from orchestrator.observers.optuna import open_copy
from orchestrator.observers.replay import replay
from orchestrator.record import Failure, FailureKind, Kind, Status
from tests.helpers.observed_runs import STARTED, UUID, curve, ended, running, seen, study_of
from tests.helpers.published_copies import SPACE, Copier, calls_of, configuration, stock, trials


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


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=() if kind in (FailureKind.DIVERGED, FailureKind.LOST) else pytest.mark.slow)
        for kind in FailureKind
    ],
)
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


@pytest.mark.slow
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
