"""No command is silent for long: it says what it is doing, and `status` says how far the runs are."""

import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cli import messages
from orchestrator.cli.messages import heartbeat, say
from orchestrator.executors.processes import Processes
from orchestrator.observers.in_training import InTraining
from orchestrator.record import Epoch, Kind, Metric, RunRecord, Status
from orchestrator.sessions.observers import observing
from orchestrator.stopping.rules import SessionEnd
from orchestrator.storage.file_names import FOLDERS
from orchestrator.storage.in_progress import in_progress, run_seconds_left, search_seconds_left
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_file import StudyFile
from orchestrator.support.activity import activity, doing
from tests.helpers.in_process_cli import call
from tests.helpers.in_process_study import conduct
from tests.helpers.observed_runs import curve, ended, running
from tests.helpers.paths import PLUGINS, ROOT
from tests.helpers.records import epochs_of, record_of
from tests.helpers.subprocess_cli import workers_of
from tests.observers.test_observer_console import HandClock

QUIET = ("--mirror", "off", "--executor", "in-process")


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)
    monkeypatch.delenv("ORCHESTRATE_STORAGE", raising=False)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As the process of a command, with little patience."""
    monkeypatch.setattr(messages, "LONGEST_SILENCE", 0.1)
    with heartbeat():
        yield


def slow_plan(folder: Path, seconds: float = 0.4) -> Path:
    text = (PLUGINS / "search_spaces" / "curves.py").read_text()
    file = folder / "slow.py"
    file.write_text(text.replace("seed=0)", f'seed=0, params={{"seconds": {seconds}}})'))
    return file


def test_a_silence_is_broken_by_the_innermost_thing_that_takes_long(capsys: pytest.CaptureFixture[str], impatient: None) -> None:
    with doing("outer"), doing(lambda: "inner"):
        time.sleep(0.4)
    assert "inner" in (said := capsys.readouterr().err)
    assert "outer" not in said
    with doing("outer"), doing(""):  # it shows itself, as a bar does
        time.sleep(0.2)
    with doing(lambda: str(1 / 0)):  # what it tells of may change at this moment
        time.sleep(0.2)
    assert capsys.readouterr().err == ""
    assert activity() == ""


def test_nothing_is_said_between_lines_that_come_often(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "LONGEST_SILENCE", 0.5)
    with heartbeat(), doing("at work"):
        for number in range(8):
            say(f"line {number}")
            time.sleep(0.1)
    assert capsys.readouterr().err.splitlines() == [f"line {number}" for number in range(8)]


@pytest.mark.slow
def test_a_trial_of_many_epochs_is_not_silent(capsys: pytest.CaptureFixture[str], impatient: None, tmp_path: Path) -> None:
    words = ("study", slow_plan(tmp_path), "--trials", "1", "--epochs", "2", "--runs", tmp_path / "runs", *QUIET)
    result = call(capsys, *words)
    assert result.code == 0
    assert re.search(
        r"^\[0/1\] trial 0000 in epoch 2 of 2 for 0 s  val_acc \.\d{4}  0\.2 s an epoch$", result.messages, re.MULTILINE
    )


def test_an_epoch_of_a_single_run_is_not_silent(capsys: pytest.CaptureFixture[str], impatient: None, tmp_path: Path) -> None:
    words = ("train", slow_plan(tmp_path), "--epochs", "2", "--runs", tmp_path / "runs", *QUIET)
    result = call(capsys, *words)
    assert result.code == 0
    assert re.search(r"^single \S+ in epoch 2 of 2 for 0 s  val_acc ", result.messages, re.MULTILINE)
    epochs = re.findall(r"^epoch .*$", result.messages, re.MULTILINE)
    assert epochs[0].endswith("  0.2 s  about 1 s left")
    assert epochs[1].endswith("  0.2 s")


def test_every_command_says_that_it_works(
    capsys: pytest.CaptureFixture[str], impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(what: str) -> list[str]:
        time.sleep(0.4)
        return ["cifar100", "digits"]

    monkeypatch.setattr("orchestrator.plugins.names", slowly)
    assert "orchestrate data verify is still at work" in call(capsys, "data", "verify", "digits").messages


class Hanging:
    """An observer that takes its time to complete its copy."""

    note = "offline"

    def opened(self, record: RunRecord, epochs: Sequence[Epoch]) -> None:
        pass

    def measured(self, record: RunRecord, epoch: Epoch) -> None:
        pass

    def closed(self, record: RunRecord) -> None:
        pass

    def finish(self, timeout: float) -> str | None:
        time.sleep(0.4)
        return None


def test_copies_that_take_long_are_not_silent(
    capsys: pytest.CaptureFixture[str], impatient: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = begun_study(tmp_path)
    monkeypatch.setattr("orchestrator.sessions.mirror.open_mirror", lambda *words: [Hanging()])
    result = call(capsys, "mirror", "part2", "--runs", store.runs)
    assert result.code == 0
    assert "rebuilding the copies of part2" in result.messages
    with observing([Hanging()], lambda line: None):
        pass
    assert "completing the copies" in capsys.readouterr().err


def test_the_runs_in_training_are_shown_in_one_line() -> None:
    clock = HandClock()
    shown = InTraining(clock)
    assert shown.text() == "waiting for workers, which load libraries and data"
    first, second = replace(running(0), metric=Metric()), running(1, Kind.RETRAIN)
    shown.opened(first, [])
    clock.time += 92
    assert shown.text() == "trial 0000 in epoch 1 of 4 for 2 min"
    for epoch in curve(2):
        shown.measured(first, epoch)
    shown.opened(second, curve(4))
    name = second.run_id.rsplit("/", 1)[-1]
    assert shown.text() == (
        f"trial 0000 in epoch 3 of 4 for 0 s  val_acc .2000  0.5 s an epoch; "
        f"retrain {name} in epoch 4 of 4 for 0 s  val_acc .4000  0.5 s an epoch"
    )
    for number in range(2, 7):
        shown.opened(running(number), [])
    assert shown.text().endswith("; and 3 more")
    for number in range(7):
        shown.closed(ended(running(number), []))
    shown.closed(second)
    assert shown.text() == "waiting for workers, which load libraries and data"


class EndsAtOnce:
    """A rule that asks for an end once a trial has an epoch."""

    def __init__(self, *, suspend: bool) -> None:
        self._suspend = suspend
        self._trained = False

    def note(self, record: RunRecord) -> None:
        self._trained = self._trained or record.epochs > 0

    def end(self) -> SessionEnd | None:
        return SessionEnd(reason="enough", suspend=self._suspend) if self._trained else None


@pytest.mark.parametrize(
    ("suspend", "line"),
    [
        (True, "enough: the running trials are suspended after their current epochs"),
        (False, "enough: the running trials are completed, and no new one is begun"),
    ],
)
def test_why_a_session_ends_is_heard_before_its_last_epoch(suspend: bool, line: str, tmp_path: Path) -> None:
    said: list[str] = []
    records = conduct(tmp_path, 3, say=said.append, endings=[EndsAtOnce(suspend=suspend)])
    assert said == [line, "enough"]
    assert len(records) == 1


@pytest.mark.slow
def test_a_worker_that_dies_without_a_job_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    executor = Processes(devices=["cpu", "cpu"], threads=1, data_folder=tmp_path / "data", logs=tmp_path / "logs")
    try:
        idle = workers_of(os.getpid())[1]
        idle.kill()
        conduct(tmp_path, 1, executor=executor, say=said.append)
    finally:
        executor.close()
    assert said == ["worker 1 was killed by signal 9 while it had no job, and is replaced"]


def begun_study(tmp_path: Path, *records: RunRecord, epochs: int = 0) -> RunsFolder:
    store = RunsFolder(tmp_path / "runs")
    folder = store.study("part2")
    folder.write(StudyFile(uuid="0" * 32, name="part2", created=1.0))
    for record in records:
        run = folder.folder(record)
        run.write(record)
        for epoch in epochs_of([0.1 * number for number in range(1, epochs + 1)], seconds=12.4):
            run.append(epoch)
    return store


@pytest.mark.parametrize("kind", [Kind.TRIAL, Kind.RETRAIN, Kind.SINGLE])
def test_status_says_epoch_rate_begin_and_time_left(kind: Kind, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = record_of(7, [], kind=kind, status=Status.RUNNING)
    store = begun_study(tmp_path, record, epochs=3)
    assert "is in epoch" not in call(capsys, "status", "--runs", store.runs).output
    with store.study("part2").lock(FOLDERS[kind]):
        text = call(capsys, "status", "--runs", store.runs).output
        told = call(capsys, "status", "--runs", store.runs, "--format", "json")
        assert told.code == 0, told.messages
        plain = json.loads(told.output)
    assert f"{record.run_id} is in epoch 4 of 6, val_acc 0.3000, 12.4 s an epoch, begun 2023-11-14" in text
    (active,) = plain["active"]
    assert active["run"] == record.run_id
    assert (active["epoch"], active["epochs"], active["epoch_seconds"], active["begun"]) == (4, 6, 12.4, 1_700_000_000.25)
    if kind is not Kind.TRIAL:  # of a search without a finished trial nothing is known
        assert "about 37 s left" in text
        assert plain["time_left_seconds"] == pytest.approx(3 * 12.4)


def test_the_time_left_of_a_search_is_that_of_its_trials() -> None:
    done = [record_of(number, epochs_of([0.5] * 6, seconds=10.0)) for number in range(4)]
    now = [in_progress(record_of(4, [], status=Status.RUNNING), epochs_of([0.1], seconds=10.0))] * 2
    assert search_seconds_left(done, 10, now) == pytest.approx((6 * 60 - 20) / 2)
    assert search_seconds_left(done, 4, now) is None
    assert search_seconds_left([], 4, now) is None
    unknown = in_progress(record_of(4, [], status=Status.RUNNING), epochs_of([float("nan")]))
    assert unknown.value is None
    assert run_seconds_left(in_progress(record_of(4, [], status=Status.RUNNING), [])) is None


IMPATIENT = """if True:
    from orchestrator.cli import main, messages
    messages.LONGEST_SILENCE = 0.5
    main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("command", ["study", "train", "retrain-best"])
def test_no_command_is_silent_for_long(command: str, tmp_path: Path) -> None:
    """With workers in processes of their own, from the start to the end."""
    plan, runs = slow_plan(tmp_path, 3.0), tmp_path / "runs"
    words = {
        "study": ["study", str(plan), "--trials", "1", "--epochs", "2"],
        "train": ["train", str(plan), "--epochs", "2"],
        "retrain-best": ["retrain-best", "slow", "--epochs", "2"],
    }[command]
    if command == "retrain-best":
        study = ["study", str(plan), "--trials", "1", "--epochs", "1", "--runs", str(runs), *QUIET]
        subprocess.run([sys.executable, "-m", "orchestrator.cli", *study], check=True, cwd=PLUGINS, capture_output=True)
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", IMPATIENT, *words, "--runs", runs, "--mirror", "off"],
        cwd=PLUGINS,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        assert process.stderr is not None
        moments = [time.monotonic() for _ in process.stderr]
    assert process.returncode == 0
    assert max(after - before for before, after in itertools.pairwise(moments)) < 2.5
    assert len(moments) > 8
