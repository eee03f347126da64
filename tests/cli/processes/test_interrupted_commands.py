"""Ctrl-C and SIGTERM in every phase of a command, and what the next session makes of it."""

import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.observers.subprocess_observer import SubprocessObserver
from orchestrator.record import Kind, Status
from orchestrator.storage.runs import RunsFolder
from tests.cli.studies import QUIET, finished, trial_lines, wait_for_epochs
from tests.helpers import subprocess_cli
from tests.helpers.in_process_cli import call, refused
from tests.helpers.in_process_study import results

SECONDS_TO_END = 5.0  # after an interruption


def interrupt(process: "subprocess.Popen[str]", *signals: signal.Signals) -> tuple[int, str]:
    """Send the signals, a moment apart, and see the process and all its workers end. Returns exit code and messages."""
    workers = subprocess_cli.workers_of(process.pid)
    began = time.monotonic()
    for number in signals:
        process.send_signal(number)
        time.sleep(0.1)
    _, messages = process.communicate(timeout=60)
    assert time.monotonic() - began < SECONDS_TO_END
    subprocess_cli.wait_for(lambda: all(map(subprocess_cli.ended, workers)), "the end of the workers", 2.0)
    assert "Traceback" not in messages
    return process.returncode, messages


@pytest.mark.slow
def test_an_interrupted_study_says_how_to_resume_and_ends_with_exactly_its_trials(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    words = ("study", "slow_curves", "--trials", "5", "--runs", runs)
    folder = RunsFolder(runs).study("slow_curves")
    for number, mirror, code, says in (
        (signal.SIGINT, "auto", 130, "interrupted; "),
        (signal.SIGTERM, "off", 143, "terminated; "),
    ):
        process = subprocess_cli.start(*words, "--mirror", mirror)
        wait_for_epochs(folder, 4)
        refused(capsys, 75, *words, says=(f"process {process.pid} on ",))
        ended, messages = interrupt(process, number)
        assert ended == code
        assert f"{says}progress is saved; run the same command to resume" in messages
        assert sum(record.status is Status.RUNNING for record in folder.runs()) <= 1
    left = 5 - finished(folder)
    output, messages = subprocess_cli.run(*words, "--mirror", "off")
    assert output == ""
    assert len(trial_lines(messages)) == left >= 1
    assert "\x1b" not in messages
    records = folder.runs(Kind.TRIAL)
    assert [record.number for record in records] == list(range(5))
    assert all(record.status.finished for record in records)
    assert call(capsys, "study", "slow_curves", "--trials", "5", "--runs", tmp_path / "alone", *QUIET).code == 0
    assert results(folder) == results(RunsFolder(tmp_path / "alone").study("slow_curves"))


@pytest.mark.slow
def test_an_interrupted_retrain_is_resumed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert call(capsys, "study", "slow_curves", "--trials", "1", "--runs", runs, *QUIET).code == 0
    words = ("retrain-best", "--epochs", "24", "--runs", runs)
    folder = RunsFolder(runs).study("slow_curves")
    twice = [signal.SIGINT, signal.SIGINT]
    for signals, mirror, code in ((twice, "auto", 130), ([signal.SIGTERM], "off", 143)):
        process = subprocess_cli.start(*words, "--mirror", mirror)
        wait_for_epochs(folder, 3)
        ended, messages = interrupt(process, *signals)
        assert ended == code
        assert "run the same command to resume" in messages
    refused(capsys, 66, "submit", "--runs", runs, says=("no finished retrain",))
    _, messages = subprocess_cli.run(*words, "--mirror", "off")
    assert "resumed" in messages
    (record,) = folder.runs(Kind.RETRAIN)
    assert (record.status, record.epochs) == (Status.COMPLETE, 24)
    assert [epoch.number for epoch in folder.folder(record).epochs()] == list(range(1, 25))
    assert folder.folder(record).submission.is_file()


@pytest.mark.slow
def test_a_smaller_number_that_is_met_already_leaves_nothing_running(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("study", "curves", "--runs", tmp_path / "runs", *QUIET)
    assert call(capsys, *words, "--trials", "3").code == 0
    folder = RunsFolder(tmp_path / "runs").known("curves")
    newest = folder.runs()[-1]
    folder.folder(newest).write(replace(newest, status=Status.RUNNING))  # as a killed conductor leaves it
    result = call(capsys, *words, "--trials", "2")
    assert result.code == 0
    assert "nothing to do" in result.messages
    assert [record.status.finished for record in folder.runs()] == [True, True, False]
    assert folder.runs()[-1].status is Status.PAUSED
    assert call(capsys, *words, "--trials", "3").code == 0
    assert all(record.status.finished for record in folder.runs())


@pytest.mark.slow
def test_an_interruption_while_the_database_answers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ready = SubprocessObserver.ready
    answers: list[object] = []

    def interrupted(self: SubprocessObserver, timeout: float) -> object:
        answers.append(ready(self, timeout))
        if len(answers) == 1:
            raise KeyboardInterrupt
        return answers[-1]

    words = ("study", "curves", "--trials", "1", "--runs", tmp_path / "runs", *QUIET)
    with monkeypatch.context() as patch:
        patch.setattr(SubprocessObserver, "ready", interrupted)
        assert call(capsys, *words).code == 130
    assert call(capsys, *words).code == 0


@pytest.mark.parametrize("delay", [0.15, *(pytest.param(delay, marks=pytest.mark.slow) for delay in (0.0, 0.5, 1.2))])
def test_an_interruption_while_the_command_begins(delay: float, tmp_path: Path) -> None:
    process = subprocess_cli.start("study", "curves", "--trials", "2", "--runs", tmp_path / "runs")
    time.sleep(0.1 + delay)
    process.send_signal(signal.SIGTERM)
    _, messages = process.communicate(timeout=30)
    assert process.returncode in {143, -signal.SIGTERM}
    assert "Traceback" not in messages
