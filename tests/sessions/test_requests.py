"""What a user asks of a study, whether it runs or not: try this next, and stop. Neither is lost, neither is done twice."""

import json
import re
import signal
import time
from pathlib import Path

import pytest

from orchestrator.record import Kind, RunRecord, Status
from orchestrator.stopping.rules import SessionEnd
from orchestrator.storage.queue import SettingQueue
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.fault_injection import VARIABLE, CrashPoint
from tests.helpers.in_process_cli import call, refused
from tests.helpers.in_process_study import Interrupted, PowerCut, conduct, results
from tests.helpers.paths import PLUGINS
from tests.helpers.subprocess_cli import run, start, wait_for

SETTING = {"batch_size": 32, "learning_rate": 0.02, "weight_decay": 1e-3, "label_smoothing": 0.05, "dropout": 0.125}
WORDS = [f"{name}={value}" for name, value in SETTING.items()]


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


def folder(tmp_path: Path, name: str = "curves") -> StudyFolder:
    return RunsFolder(tmp_path / "runs").known(name)


def setting(record: RunRecord) -> dict[str, object]:
    return {name: record.recipe.params[name] for name in SETTING}


def test_an_enqueued_setting_is_the_next_trial_and_what_it_leaves_open_is_sampled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conduct(tmp_path, 2)
    runs = tmp_path / "runs"
    said = call(capsys, "enqueue", "curves", *WORDS, "--runs", runs)
    assert said.code == 0
    assert "all 2 trials of the study are finished" in said.messages
    said = call(capsys, "enqueue", "curves", "dropout=.25", "learning_rate=0.5", "--runs", runs)
    assert "batch_size, weight_decay, label_smoothing will be sampled" in said.messages
    assert "2 enqueued settings waiting" in call(capsys, "status", "curves", "--runs", runs).output
    records = conduct(tmp_path, 5)
    assert setting(records[2]) == SETTING
    assert {"dropout": 0.25, "learning_rate": 0.5}.items() <= setting(records[3]).items()
    assert [record.enqueued is not None for record in records] == [False, False, True, True, False]
    assert SettingQueue(folder(tmp_path)).names() == []
    assert json.loads(call(capsys, "status", "curves", "--runs", runs, "--format", "json").output)["enqueued"] == 0


def test_what_cannot_be_tried_is_refused_before_it_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conduct(tmp_path, 1)
    conduct(tmp_path, 1, plan="grid")
    runs = tmp_path / "runs"
    for study, words, says in [
        ("curves", ["learning_rte=0.1"], "known: learning_rate"),
        ("curves", ["learning_rate=2"], "outside its range, 0.0001 to 1.0"),
        ("curves", ["learning_rate=nan"], "outside its range"),
        ("curves", ["learning_rate=fast"], "is not a number"),
        ("curves", ["batch_size=33"], "batch_size = 33 is not one of "),
        ("curves", ["batch_size"], "name=value"),
        ("curves", ["dropout=.1", "dropout=.2"], "given twice"),
        ("grid", ["dropout=.17"], "the nearest value is 0.2"),
        ("grid", ["batch_size=33"], "the nearest value is 32"),
        ("grids", ["dropout=.1"], "known: grid"),
    ]:
        refused(capsys, 2, "enqueue", study, *words, "--runs", runs, says=[says])
    assert SettingQueue(folder(tmp_path)).names() == SettingQueue(folder(tmp_path, "grid")).names() == []


def test_a_known_setting_is_told_and_trained_as_a_replicate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (first,) = conduct(tmp_path, 1)
    words = [f"{name}={value}" for name, value in setting(first).items()]
    assert "the setting of curves/trials/0000" in call(capsys, "enqueue", "curves", *words, "--runs", tmp_path / "runs").messages
    assert "is waiting already" in call(capsys, "enqueue", "curves", *words, "--runs", tmp_path / "runs").messages
    records = conduct(tmp_path, 4)
    assert [record.replicate_of for record in records] == [None, first.run_id, first.run_id, None]
    assert len({record.recipe.seed for record in records}) == 4
    assert "2 trials replicate another" in call(capsys, "status", "curves", "--runs", tmp_path / "runs").output


@pytest.mark.parametrize("after", [1, 2, 3, 11, 13])
def test_a_setting_is_taken_once_whenever_the_power_is_cut(quick: Path, after: int) -> None:
    conduct(quick, 1)
    waiting = SettingQueue(folder(quick))
    waiting.add(SETTING)
    (name,) = waiting.names()
    with pytest.raises(PowerCut):
        conduct(quick, 4, executor=Interrupted(quick, after))
    assert waiting.names() == []
    waiting.add(SETTING)  # as if the power had been cut between the record and the removal
    (again,) = waiting.names()
    (folder(quick).enqueued / again).rename(folder(quick).enqueued / name)
    records = conduct(quick, 4)
    assert [setting(record) == SETTING for record in records] == [False, True, False, False]
    assert waiting.names() == []


class After:
    """Ends the session when it was asked so many times."""

    def __init__(self, times: int) -> None:
        self._left = times

    def note(self, record: RunRecord) -> None: ...

    def end(self) -> SessionEnd | None:
        self._left -= 1
        return SessionEnd(reason="enough", suspend=True) if self._left < 0 else None


@pytest.mark.parametrize(
    "pruner", ["promote", *(pytest.param(name, marks=pytest.mark.slow) for name in ("median", "asha", "none"))]
)
def test_a_study_that_was_stopped_at_any_moment_ends_as_one_left_alone(quick: Path, pruner: str) -> None:
    conduct(quick / "alone", 9, pruner=pruner)
    paused = 0
    for times in (0, 1, 3, 10, 11, 12, 17, 19):
        said: list[str] = []
        records = conduct(quick / "stopped", 9, pruner=pruner, endings=[After(times)], say=said.append)
        if any(not record.status.finished for record in records):
            assert said[-1] == "enough"
            assert {record.status for record in records if not record.status.finished} == {Status.PAUSED}
        waiting = [record for record in records if record.suspended]  # promote has others, which it paused itself
        assert len(waiting) <= 1
        for record in waiting:
            assert record.last is not None
            assert record.last.epoch == record.epochs
            paused += 1
    assert paused >= 3
    conduct(quick / "stopped", 9, pruner=pruner)
    assert results(folder(quick / "stopped")) == results(folder(quick / "alone"))
    assert not any(record.suspended for record in folder(quick / "stopped").runs())


def words(tmp_path: Path, trials: int) -> list[str | Path]:
    places: list[str | Path] = ["--runs", tmp_path / "runs", "--data-dir", tmp_path, "--mirror", "off"]
    return ["study", "slow_curves", "--trials", str(trials), *places]


def finished(tmp_path: Path) -> int:
    return sum('"status": "RUNNING"' not in file.read_text() for file in (tmp_path / "runs").glob("*/trials/*/record.json"))


@pytest.mark.slow
def test_a_running_study_takes_a_setting_and_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    conductor = start(*words(tmp_path, 16))
    wait_for(lambda: finished(tmp_path) >= 1, "the first trial")
    run("enqueue", "slow_curves", *WORDS, "--runs", tmp_path / "runs")
    study = folder(tmp_path, "slow_curves")
    wait_for(lambda: any(record.enqueued for record in study.runs(Kind.TRIAL)), "the enqueued trial")
    conductor.kill()
    conductor.communicate()
    conductor = start(*words(tmp_path, 16))
    wait_for(lambda: finished(tmp_path) >= 4, "the fourth trial")
    asked = time.monotonic()
    _, messages = run("stop", "slow_curves", "--runs", tmp_path / "runs")
    assert "stop requested: slow_curves ends" in messages
    _, messages = conductor.communicate(timeout=60)
    assert conductor.returncode == 0, messages
    assert time.monotonic() - asked < 30
    assert "stopped by `orchestrate stop`; run the same command to resume" in messages
    records = study.runs(Kind.TRIAL)
    (paused,) = [record for record in records if not record.status.finished]
    assert paused.status is Status.PAUSED
    assert study.folder(paused).last_checkpoint.is_file()
    output, _ = run("status", "slow_curves", "--runs", tmp_path / "runs")
    assert "ended early: stopped" in output
    _, messages = run("stop", "slow_curves", "--runs", tmp_path / "runs")
    assert "slow_curves is not running" in messages
    study.request_stop()  # a request that came too late for its session
    run(*words(tmp_path, 16))
    records = study.runs(Kind.TRIAL)
    assert [record.status.finished for record in records] == [True] * 16
    assert sum(setting(record) == SETTING for record in records) == 1
    output, _ = run("status", "slow_curves", "--runs", tmp_path / "runs")
    assert "ended early" not in output


@pytest.mark.slow
def test_a_setting_is_taken_once_although_its_conductor_crashes_around_it(tmp_path: Path) -> None:
    run(*words(tmp_path, 1))
    run("enqueue", "slow_curves", *WORDS, "--runs", tmp_path / "runs")
    study = folder(tmp_path, "slow_curves")
    for point in (CrashPoint.RECORD_ASIDE, CrashPoint.RECORD_RENAMED, CrashPoint.JOB_SENT):
        crashed = start(*words(tmp_path, 4), variables={VARIABLE: f"{tmp_path}|{point}|1"})
        _, messages = crashed.communicate(timeout=120)
        assert crashed.returncode == -signal.SIGKILL, messages
        assert (tmp_path / point).exists()
    assert [record.enqueued is not None for record in study.runs(Kind.TRIAL)] == [False, True]
    run(*words(tmp_path, 4))
    assert [setting(record) == SETTING for record in study.runs(Kind.TRIAL)] == [False, True, False, False]
    assert SettingQueue(study).names() == []


@pytest.mark.slow
def test_a_retrain_stops_when_it_is_asked_to_and_is_resumed(tmp_path: Path) -> None:
    run(*words(tmp_path, 2))
    study = folder(tmp_path, "slow_curves")
    again: list[str | Path] = ["retrain-best", "--epochs", "60", "--runs", tmp_path / "runs", "--data-dir", tmp_path]
    retrain = start(*again, "--mirror", "off")
    wait_for(lambda: any(len(study.folder(record).epochs()) >= 5 for record in study.runs(Kind.RETRAIN)), "the fifth epoch")
    study.request_stop()
    _, messages = retrain.communicate(timeout=60)
    assert retrain.returncode == 0, messages
    (paused,) = study.runs(Kind.RETRAIN)
    assert paused.status is Status.PAUSED
    assert f"stopped after {paused.epochs} of 60 epochs" in messages
    assert not study.folder(paused).submission.exists()
    _, messages = run(*again, "--mirror", "off")
    assert "resumed" in messages
    (whole,) = study.runs(Kind.RETRAIN)
    assert (whole.status, whole.epochs) == (Status.COMPLETE, 60)
    told = re.findall(r"^epoch (\d+)/60 ", messages, re.MULTILINE)
    assert told == [str(number) for number in range(paused.epochs, 61)]  # the last one before the stop is shown, not trained
    assert study.folder(whole).submission.is_file()
