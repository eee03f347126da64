"""What commands print: data to stdout, messages to stderr, also when one of them cannot be written."""

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.executors.in_process import InProcess
from orchestrator.jobs import Event, Finished
from orchestrator.storage.runs import RunsFolder
from tests.cli.studies import QUIET, shell, trial_lines
from tests.helpers.in_process_cli import call, refused
from tests.helpers.paths import PLUGINS


def test_one_line_per_finished_trial_and_data_for_programs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    result = call(capsys, "study", "curves", "--trials", "8", "--runs", runs, "--format", "json", *QUIET)
    assert result.code == 0
    outcome = json.loads(result.output)
    assert (outcome["study"], outcome["asked"], outcome["finished"]) == ("curves", 8, 8)
    assert sum(outcome["trials"].values()) == 8
    lines = trial_lines(result.messages)
    assert [line.split("]")[0] for line in lines] == [f"[{number}/8" for number in range(1, 9)]
    assert all("best" in line for line in lines)
    assert all("left" in line for line in lines[:-1])
    assert "\x1b" not in result.messages + result.output

    again = call(capsys, "study", "curves", "--runs", runs, *QUIET)
    assert (again.code, again.output) == (0, "")
    assert "nothing to do" in again.messages

    retrained = call(capsys, "retrain-best", "--runs", runs, *QUIET)
    assert retrained.code == 0
    numbers = re.findall(r"^epoch (\d+)/12 ", retrained.messages, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 13)]
    assert "submission.csv, 179 rows for the test images of digits" in retrained.messages

    state = json.loads(call(capsys, "status", "--runs", runs, "--format", "json").output)
    assert state["best"] == outcome["best"]
    assert list(state["retrains"].values()) == ["COMPLETE"]
    rows = json.loads(call(capsys, "leaderboard", "--runs", runs, "--format", "json").output)
    assert len(rows) == 9
    assert {row["run"] for row in rows} == {record.run_id for record in RunsFolder(runs).study("curves").runs()}
    csv = call(capsys, "leaderboard", "curves", "curves", "--runs", runs, "--format", "csv").output.splitlines()
    assert len(csv) == 10
    assert len({line.count(",") for line in csv}) == 1
    assert call(capsys, "leaderboard", "--runs", runs, "--format", "md").output.startswith("|")
    table = call(capsys, "leaderboard", "--runs", runs).output
    assert "\x1b" not in table
    assert all(row["run"] in table for row in rows)


@pytest.mark.slow
def test_when_every_trial_fails_it_is_said_why(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plan = (PLUGINS / "search_spaces" / "curves.py").read_text()
    (tmp_path / "mine.py").write_text(plan.replace("seed=0)", 'seed=0, params={"misbehaviour": "raise"})'))
    result = call(capsys, "study", tmp_path / "mine.py", "--trials", "2", "--runs", tmp_path / "runs", *QUIET)
    assert (result.code, result.output) == (1, "")
    assert "error: every trial failed" in result.messages
    assert "this trainer was told to fail" in result.messages.split("error: every trial failed")[1]
    assert len(trial_lines(result.messages)) == 2
    status = call(capsys, "status", "--runs", tmp_path / "runs").output
    assert "2 failed as crashed, the last mine/trials/0001: RuntimeError: this trainer was told to fail" in status
    assert "2 retries after a crash, a hang or the loss of a worker" in status
    state = json.loads(call(capsys, "status", "--runs", tmp_path / "runs", "--format", "json").output)
    assert (state["failures"], state["setbacks"]) == ({"crashed": 2}, 2)
    table = call(capsys, "leaderboard", "--runs", tmp_path / "runs", "--format", "csv").output.splitlines()
    assert table[0].endswith(",failure_message")
    assert table[1].endswith("RuntimeError: this trainer was told to fail; failed after 2 attempts")
    refused(capsys, 66, "retrain-best", "--runs", tmp_path / "runs", *QUIET, says=("no COMPLETE trial",))
    (see,) = re.findall(r"see: orchestrate (show mine/trials/0001.*)$", result.messages, re.MULTILINE)
    shown = call(capsys, *shlex.split(see)).output
    assert "\nfailed: crashed: RuntimeError: this trainer was told to fail; failed after 2 attempts\n" in shown
    assert len(re.findall(rf"\n +in {PLUGINS}/trainers/curve\.py, line \d+, Curve\._misbehave\n", shown)) == 2  # and the setback


def test_a_closed_pipe_is_no_error() -> None:
    result = shell("orchestrate --help | true; orchestrate --version | true; orchestrate study --help | head -1")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "Usage: orchestrate study [OPTIONS] PLAN\n"


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    full = shell("orchestrate --help > /dev/full")
    assert (full.returncode, full.stderr) == (74, "error: No space left on device\n")
    closed = shell("orchestrate --help >&-")
    assert (closed.returncode, closed.stderr) == (0, "")
    unheard = shell(f"orchestrate status --runs {tmp_path} 2> /dev/full")
    assert (unheard.returncode, unheard.stdout) == (66, "")


@pytest.mark.slow
def test_a_study_continues_when_its_messages_are_not_read(tmp_path: Path) -> None:
    words = f"study curves --trials 3 --runs {tmp_path}/runs {' '.join(QUIET)} --format json"
    result = shell(f"orchestrate {words} 2> >(head -c 1 > /dev/null)")
    assert result.returncode == 0
    assert json.loads(result.stdout)["finished"] == 3


@pytest.mark.slow
def test_every_epoch_of_a_retrain_is_shown_once_though_several_come_together(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = ("--runs", tmp_path / "runs", *QUIET)
    assert call(capsys, "study", "curves", "--trials", "1", *words).code == 0
    one_by_one = InProcess.events

    def together(self: InProcess, timeout: float) -> Sequence[Event]:
        happened: list[Event] = []
        while not any(isinstance(event, Finished) for event in happened):
            happened += one_by_one(self, timeout)
        return happened

    monkeypatch.setattr(InProcess, "events", together)
    result = call(capsys, "retrain-best", *words)
    assert result.code == 0
    assert re.findall(r"^epoch (\d+)/12 ", result.messages, re.MULTILINE) == [str(number) for number in range(1, 13)]
