"""A database that cannot be reached, and a process of the copy that is killed."""

import contextlib
import gc
import os
import sqlite3
import warnings
from pathlib import Path

import pytest
from optuna.trial import TrialState

from orchestrator.errors import Unavailable
from orchestrator.observers.replay import replay
from tests.helpers.observed_runs import curve, ended, eventually, running, seen, study_of
from tests.helpers.published_copies import Copier, calls_of, comparable, in_process, stock, trials
from tests.helpers.subprocess_cli import running_below


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
    with warnings.catch_warnings():  # Optuna leaves open what it could not use, and Python 3.13 says so in a later test
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_killed_process_is_completed_by_the_next(tmp_path: Path) -> None:
    runs = study_of(6)
    observer = in_process(tmp_path)
    assert observer.ready(30) is None
    replay(observer, runs[:5])
    eventually(lambda: len(trials(tmp_path)) >= 3)
    for child in running_below(os.getpid(), "observers.subprocess_observer"):
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
