"""A session that ends early, by its budget or without improvement, and is resumed as one left alone."""

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator import plugins
from orchestrator.contracts import DataSetInfo, StudyPlan
from orchestrator.errors import InvalidInput
from orchestrator.executors.in_process import InProcess
from orchestrator.jobs import Event, Job, Measured
from orchestrator.record import Kind, RunRecord, Status
from orchestrator.stopping.budget import CLOSING_SECONDS, Budget, afterwards
from orchestrator.stopping.rules import NoImprovement
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.durations import format_duration, parse_duration
from tests.helpers.in_process_cli import call, refused
from tests.helpers.in_process_study import conduct, results
from tests.helpers.paths import PLUGINS
from tests.helpers.subprocess_cli import run

TRAINED = 0.25  # seconds that an epoch of the trainer `curve` says it took


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


@dataclass
class SimulatedClock:
    """Stands still but for the epochs that are trained."""

    time: float = 1_700_000_000.0

    def now(self) -> float:
        return self.time

    def elapsed(self) -> float:
        return self.time


class Timed:
    """The executor, whose epochs take the seconds that they say they take, on a simulated clock."""

    workers = 1

    def __init__(self, folder: Path, clock: SimulatedClock) -> None:
        self._inner = InProcess(device="cpu", threads=1, data_folder=folder / "data")
        self._clock = clock
        self.grant, self.stop, self.close = self._inner.grant, self._inner.stop, self._inner.close
        self.replace, self.retire = self._inner.replace, self._inner.retire

    def start(self, job: Job, avoid: int | None = None) -> int:
        return self._inner.start(job, avoid)

    def events(self, timeout: float) -> tuple[Event, ...]:
        events = tuple(self._inner.events(timeout))
        self._clock.time += sum(event.epoch.seconds for event in events if isinstance(event, Measured))
        return events


def curves() -> tuple[StudyPlan, DataSetInfo]:
    _, dataset, make = plugins.plan("curves")
    info = plugins.dataset(dataset).info(Path("nowhere"))
    return make(dataset, info), info


def session(folder: Path, seconds: float, *, pruner: str = "none") -> tuple[list[RunRecord], float, list[str]]:
    """A session with this budget, on simulated time: the trials, the seconds used, and what was said."""
    plan, info = curves()
    clock = SimulatedClock()
    said: list[str] = []
    budget = Budget(
        seconds=seconds,
        began=clock.elapsed(),
        clock=clock,
        plan=plan,
        info=info,
        predictions=info.train_images,
        useful_epochs=2,
    )
    began = clock.elapsed()
    records = conduct(folder, 40, pruner=pruner, executor=Timed(folder, clock), endings=[budget], say=said.append)
    return list(records), clock.elapsed() - began, said


def folder(path: Path) -> StudyFolder:
    return RunsFolder(path / "runs").known("curves")


def test_what_follows_is_estimated_from_the_measured_epochs() -> None:
    plan, info = curves()
    train = info.train_images - info.validation_images - info.confirmation_images
    one = afterwards(plan, info, epoch_seconds=2.0, predictions=3 * train)
    assert one.retrain == pytest.approx(plan.retrain_epochs * 2.0 * (train + info.confirmation_images) / train)
    assert one.submission == pytest.approx(2.0)  # as many steps as an epoch has, each predicted in a third of its time
    assert one.seconds == pytest.approx(1.15 * (one.retrain + one.submission) + CLOSING_SECONDS)
    assert {field.name for field in dataclasses.fields(one)} == {"retrain", "submission", "epoch_seconds"}  # a command for each


def test_the_search_leaves_the_time_that_follows_it_and_little_more(quick: Path) -> None:
    plan, info = curves()
    kept = afterwards(plan, info, epoch_seconds=TRAINED, predictions=info.train_images)
    for seconds in (24.3, 24.9, 25.5, 26.1):
        records, used, said = session(quick / str(seconds), seconds)
        left = seconds - used
        assert kept.seconds <= left <= kept.seconds + 3 * TRAINED
        assert [record.epochs for record in records if record.status is Status.PAUSED] in ([], *([n] for n in range(2, 8)))
        assert all(record.status in (Status.COMPLETE, Status.PAUSED) for record in records)
        assert used == pytest.approx(sum(record.seconds for record in records))
        assert f"of the budget of {format_duration(seconds)} is used; {kept.describe()}" in said[-1]


def test_a_budget_that_is_too_small_says_so_after_the_first_measured_epoch(quick: Path) -> None:
    records, used, said = session(quick, 8.0)
    assert used == TRAINED
    assert [(record.status, record.epochs) for record in records] == [(Status.PAUSED, 1)]
    assert "are reserved for the full retrain (3 s) and the submission (0 s)" in said[-1]
    again, used, _ = session(quick, 8.0)
    assert used == 0
    assert [(record.status, record.epochs) for record in again] == [(Status.PAUSED, 1)]


@pytest.mark.slow
def test_sessions_with_budgets_of_their_own_add_up_to_one_left_alone(quick: Path) -> None:
    for seconds in (15.3, 12.6, 28.3):
        records, _, _ = session(quick / "parts", seconds)
    assert 5 < len(records) < 40
    conduct(quick / "parts", 40)
    conduct(quick / "alone", 40, pruner="none")
    assert results(folder(quick / "parts")) == results(folder(quick / "alone"))


def test_patience_ends_a_study_that_has_stopped_improving_and_more_of_it_goes_on(quick: Path) -> None:
    alone = conduct(quick / "alone", 40)
    complete = [record for record in alone if record.status is Status.COMPLETE]
    said: list[str] = []
    records = conduct(quick / "patient", 40, endings=[NoImprovement(6)], say=said.append)
    leader = min((record for record in records if record.status is Status.COMPLETE), key=RunRecord.order)
    assert len(records) == leader.number + 7 < 40
    assert leader.run_id in said[-1]
    for count in range(1, len(records)):  # not a trial too early
        best = min((record for record in complete if record.number < count), key=RunRecord.order, default=None)
        assert best is None or count - 1 - best.number < 6
    assert conduct(quick / "patient", 40, endings=[NoImprovement(6)]) == records
    conduct(quick / "patient", 40, endings=[NoImprovement(40)])
    assert results(folder(quick / "patient")) == results(folder(quick / "alone"))


def test_patience_counts_trials_that_are_only_paused(quick: Path) -> None:
    records = conduct(quick, 60, pruner="promote", endings=[NoImprovement(12)])
    assert len(records) < 60
    leader = min((record for record in records if record.status is Status.COMPLETE), key=RunRecord.order)
    assert len(records) == leader.number + 13


@pytest.mark.parametrize("seconds", [15.3, 19.3, 29.3])
def test_a_budget_leaves_a_study_that_pauses_its_trials_with_a_winner(quick: Path, seconds: float) -> None:
    plan, info = curves()
    kept = afterwards(plan, info, epoch_seconds=TRAINED, predictions=info.train_images)
    records, used, _ = session(quick, seconds, pruner="promote")
    assert any(record.status is Status.COMPLETE for record in records)
    assert seconds - used >= kept.seconds


def test_a_failed_trial_says_nothing_about_the_search(quick: Path) -> None:
    broken = {"misbehaviour": "diverge", "at_epoch": 1}
    records = conduct(quick, 9, endings=[NoImprovement(4)], fixed=dict.fromkeys(range(1, 5), broken))
    assert sum(record.status is Status.FAILED for record in records) == 4
    assert len(records) > 5


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("45m", 2700), ("6h", 21600), ("1.5d", 129600), ("1h30m", 5400), ("0.5s", 0.5)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "6", "h", "6 h", "-6h", "6h!", "0s", "6x", "1e3s", "infs", "9" * 400 + "s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="write a number and a unit"):
        parse_duration(text)


def test_durations_are_told_in_units_that_suit_them() -> None:
    assert [format_duration(seconds) for seconds in (0.4, 45, 89, 90, 3600, 5400, 20000)] == [
        *("0 s", "45 s", "89 s", "2 min", "60 min", "1 h 30 min", "5 h 33 min"),
    ]


@pytest.mark.slow
def test_the_command_ends_with_0_says_why_and_status_remembers(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("study", "curves", "--runs", quick / "runs", "--mirror", "off", "--executor", "in-process")
    refused(capsys, 2, *words, "--trials", "14", "--budget", "6", says=["write a number and a unit"])
    result = call(capsys, *words, "--trials", "14", "--patience", "2")
    assert result.code == 0
    assert "ends before it has 14 trials: the best trial, curves/trials/" in result.messages
    assert "a larger --patience" in result.messages
    state = json.loads(call(capsys, "status", "--runs", quick / "runs", "--format", "json").output)
    assert state["finished"] < 14
    assert (state["limits"]["patience"], state["limits"]["budget"]) == (2, None)
    assert "was not improved" in state["ended"]
    assert "ended early: the best trial" in call(capsys, "status", "--runs", quick / "runs").output
    result = call(capsys, *words, "--budget", "5s")
    assert result.code == 0
    assert "of the budget of 5 s is used" in result.messages
    assert call(capsys, *words).code == 0
    state = json.loads(call(capsys, "status", "--runs", quick / "runs", "--format", "json").output)
    assert (state["finished"], state["ended"], state["limits"]["patience"]) == (14, "", None)


@pytest.mark.slow
def test_a_real_session_leaves_real_time(tmp_path: Path) -> None:
    words = ("study", "slow_curves", "--trials", "1000", "--budget", "33s", "--mirror", "off", "--runs", tmp_path / "runs")
    _, messages = run(*words, "--data-dir", tmp_path)
    used = re.search(r"(\d+) s of the budget of 33 s is used; .* are reserved for the full retrain", messages)
    assert used is not None, messages
    assert 15 < int(used[1]) < 33  # on the budget's own clock, of which 9 s are reserved
    records = RunsFolder(tmp_path / "runs").known("slow_curves").runs(Kind.TRIAL)
    # By the session's own files, since on busy cores the interpreter takes long to start and to exit.
    began = min(record.provenance.started for record in records)
    last = max(file.stat().st_mtime for file in (tmp_path / "runs").rglob("record.json"))
    assert last - began < 33
    assert len(records) >= 5
