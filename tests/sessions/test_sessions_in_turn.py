"""What one session leaves, the next takes over: nothing that was recorded is overwritten, and every copy hears of every run."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import BadData
from orchestrator.executors.base import Executor
from orchestrator.executors.in_process import InProcess
from orchestrator.executors.processes import Processes
from orchestrator.jobs import Event, Failed, Finished, Job, Measured, Paused
from orchestrator.record import Epoch, Kind, RunRecord, Status
from orchestrator.scheduling.promotion import rungs
from orchestrator.sessions.dry_run import dry_run
from orchestrator.sessions.enqueue import enqueue
from orchestrator.sessions.open_study import Request
from orchestrator.sessions.resources import Resources
from orchestrator.stopping.rules import NoImprovement, SessionEnd, StopRequested
from orchestrator.storage.queue import SettingQueue
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.storage.study_options import Limits
from tests.helpers.in_process_study import conduct
from tests.helpers.paths import PLUGINS


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


def folder(path: Path) -> StudyFolder:
    return RunsFolder(path / "runs").known("curves")


class Heard:
    """An observer that remembers what it was told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, Any]] = []

    def opened(self, record: RunRecord, epochs: Sequence[Epoch]) -> None:
        self.told.append(("opened", record.number, len(epochs)))

    def measured(self, record: RunRecord, epoch: Epoch) -> None:
        self.told.append(("measured", record.number, epoch.number))

    def closed(self, record: RunRecord) -> None:
        self.told.append(("closed", record.number, record.status))

    def finish(self, timeout: float) -> str | None:
        return None

    def measurements(self) -> Counter[tuple[int, int]]:
        return Counter((number, epoch) for what, number, epoch in self.told if what == "measured")


class Simultaneous:
    """Two in-process workers whose events come together."""

    def __init__(self, path: Path) -> None:
        self._inner: list[Executor] = [InProcess(device="cpu", threads=1, data_folder=path / "data") for _ in range(2)]
        self._has: dict[str, int] = {}

    workers = 2

    def start(self, job: Job, avoid: int | None = None) -> int | None:
        worker = next(number for number in range(2) if number not in self._has.values())
        self._has[job.run_id] = worker
        self._inner[worker].start(job)
        return worker

    def grant(self, run_id: str, until_epoch: int) -> None:
        self._inner[self._has[run_id]].grant(run_id, until_epoch)

    def stop(self, run_id: str, keep: bool = False) -> None:
        self._inner[self._has[run_id]].stop(run_id, keep)
        if not keep:
            del self._has[run_id]

    def events(self, timeout: float) -> Sequence[Event]:
        events = [event for executor in self._inner for event in executor.events(0.0)]
        for event in events:
            if isinstance(event, Finished | Failed | Paused):
                self._has.pop(event.run_id, None)
        return events

    def replace(self, worker: int) -> None: ...

    def retire(self, worker: int) -> None: ...

    def close(self) -> None: ...


class Counting:
    """The executor, which counts the epochs that it trains; as an ending, it stops the session after so many."""

    workers = 1

    def __init__(self, path: Path, epochs: float) -> None:
        self._inner: Executor = InProcess(device="cpu", threads=1, data_folder=path / "data")
        self._left = epochs
        self.grant, self.stop, self.close = self._inner.grant, self._inner.stop, self._inner.close
        self.replace, self.retire = self._inner.replace, self._inner.retire

    def start(self, job: Job, avoid: int | None = None) -> int | None:
        return self._inner.start(job, avoid)

    def events(self, timeout: float) -> Sequence[Event]:
        events = tuple(self._inner.events(timeout))
        self._left -= sum(isinstance(event, Measured) for event in events)
        return events

    def note(self, record: RunRecord) -> None: ...

    def end(self) -> SessionEnd | None:
        return SessionEnd(reason="stopped", suspend=True) if self._left <= 0 else None


# At 117 epochs a trial is stopped at its very rung, and is among those that then deserve to be resumed.
@pytest.mark.parametrize(
    "epochs", [80, *(pytest.param(epochs, marks=pytest.mark.slow) for epochs in (40, 117, 118, 130, math.inf))]
)
def test_what_was_put_by_is_run_on_by_a_session_that_begins_no_trial_any_more(epochs: float, tmp_path: Path) -> None:
    heard = Heard()
    counting = Counting(tmp_path, epochs)
    conduct(tmp_path, 40, executor=counting, pruner="promote", endings=[counting], observers=[heard])
    for patience in (1, 1, 1000):
        conduct(tmp_path, 40, pruner="promote", endings=[NoImprovement(patience)], observers=[heard])
        last = {number: status for what, number, status in heard.told if what == "closed"}
        for record in folder(tmp_path).runs(Kind.TRIAL):
            assert record.status is last[record.number]
            assert len(folder(tmp_path).folder(record).epochs()) == record.epochs
    assert sum(record.status.finished for record in folder(tmp_path).runs()) == 40
    assert set(heard.measurements().values()) == {1}


class AtOnce:
    """A stopping rule that begins no trial from the first moment on, and lets those that run continue."""

    def note(self, record: RunRecord) -> None: ...

    def end(self) -> SessionEnd | None:
        return SessionEnd(reason="at once")


def test_no_more_is_run_on_than_a_smaller_number_of_trials_asks_for(tmp_path: Path) -> None:
    both = Simultaneous(tmp_path)
    conduct(tmp_path, 8, executor=both, pruner="none", endings=[StopAfter(11)])
    suspended = [record for record in folder(tmp_path).runs() if record.suspended]
    assert len(suspended) == 2
    conduct(tmp_path, 1, executor=Simultaneous(tmp_path), pruner="none", endings=[AtOnce()])
    records = folder(tmp_path).runs()
    assert sum(record.status.finished for record in records) == 1
    assert not any(record.status is Status.RUNNING for record in records)


class StopAfter:
    """Ends the session after so many epochs of all trials together."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._known: dict[int, int] = {}

    def note(self, record: RunRecord) -> None:
        self._known[record.number] = record.epochs

    def end(self) -> SessionEnd | None:
        return SessionEnd(reason="stopped", suspend=True) if sum(self._known.values()) >= self._epochs else None


def test_a_run_that_never_came_to_begin_is_told_to_every_copy(tmp_path: Path) -> None:
    heard = Heard()
    records = conduct(tmp_path, 3, fixed={1: {"misbehaviour": "raise", "at_epoch": 0}}, observers=[heard])
    assert [record.status for record in records] == [Status.COMPLETE, Status.FAILED, Status.COMPLETE]
    assert [told for told in heard.told if told[1] == 1] == [("opened", 1, 0), ("closed", 1, Status.FAILED)]


def test_a_stop_that_is_asked_while_the_session_begins_is_heard(tmp_path: Path) -> None:
    conduct(tmp_path, 1)
    study = folder(tmp_path)
    study.request_stop()  # of a session that has ended since
    with study.lock():
        assert StopRequested(study).end() is None
        study.request_stop()  # workers start and the plan is checked now
        assert StopRequested(study).end() is not None
    with study.lock():
        assert StopRequested(study).end() is None


@pytest.mark.slow
def test_an_attempt_that_begins_again_is_decided_only_where_it_had_not_come_yet(tmp_path: Path) -> None:
    """Trial 8 continues after its first rung, then loses its worker; meanwhile its rivals have become better."""
    poor: dict[int, dict[str, Any]] = {
        number: {"learning_rate": 2e-4 + number * 1e-5, "dropout": 0.3, "label_smoothing": 0.1} for number in range(11)
    }
    good = {"learning_rate": 0.03, "dropout": 0.1, "label_smoothing": 0.0}
    lost = {"seconds": 0.3, "misbehaviour": "kill", "at_epoch": 3, "marker": str(tmp_path / "killed")}
    fixed = {**poor, 8: {**good, **lost}, 9: {**good, "dropout": 0.0, "seconds": 0.9}}
    executor = Processes(devices=["cpu", "cpu"], threads=1, data_folder=tmp_path / "data", logs=tmp_path / "logs")
    try:
        records = conduct(tmp_path, 11, pruner="promote", fixed=fixed, executor=executor)
    finally:
        executor.close()
    assert (tmp_path / "killed").exists()
    assert records[8].attempt == 2
    assert {record.epochs for record in records} <= {*rungs(8), 8}


def begun(tmp_path: Path) -> StudyFolder:
    """A study whose twelve trials are all begun; most of them wait."""

    class AllBegun:
        def __init__(self) -> None:
            self._numbers: set[int] = set()

        def note(self, record: RunRecord) -> None:
            self._numbers.add(record.number)

        def end(self) -> SessionEnd | None:
            return SessionEnd(reason="stopped", suspend=True) if len(self._numbers) == 12 else None

    records = conduct(tmp_path, 12, pruner="promote", endings=[AllBegun()])
    assert len(records) == 12
    assert sum(record.status.finished for record in records) < 6
    return folder(tmp_path)


def test_a_setting_for_which_no_trial_is_left_is_told_to_need_more(tmp_path: Path) -> None:
    study = begun(tmp_path)
    said: list[str] = []
    enqueue(study, ["learning_rate=0.03"], said.append)
    enough = f"orchestrate study curves --trials 13 --runs {tmp_path / 'runs'}"
    assert said[-1] == f"all 12 trials of the study are begun or enqueued; to try this setting, run: {enough}"
    records = conduct(tmp_path, 12, pruner="promote")
    assert not any(record.enqueued for record in records)
    records = conduct(tmp_path, 13, pruner="promote")
    assert records[12].recipe.params["learning_rate"] == 0.03


def test_a_dry_run_announces_no_settings_where_all_trials_are_begun(tmp_path: Path) -> None:
    begun(tmp_path)
    resources = Resources(runs=tmp_path / "runs", data_folder=tmp_path / "data")
    assert dry_run(Request(plan="curves", trials=12), Limits(), resources, lambda line: None).settings == ()
    assert len(dry_run(Request(plan="curves", trials=13), Limits(), resources, lambda line: None).settings) == 1


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"learning_rate": "abc"}, "learning_rate = 'abc' is not in its range"),
        ({"learning_rate": 5.0}, "learning_rate = 5.0 is not in its range"),
        ({"batch_size": 7777}, "batch_size = 7777 is not in its range"),
        ({"nonsense": 3}, "the study samples no 'nonsense'"),
    ],
)
def test_an_enqueued_setting_that_was_written_by_hand_is_refused_by_name(
    params: dict[str, Any], says: str, tmp_path: Path
) -> None:
    conduct(tmp_path, 1)
    SettingQueue(folder(tmp_path)).add(params)
    with pytest.raises(BadData, match=r"is damaged .*delete it, and enqueue the setting again") as refused:
        conduct(tmp_path, 3)
    assert says in str(refused.value)
    assert len(folder(tmp_path).runs()) == 1
