"""The command line as its user meets it: help, output for people and for programs, interruptions, odd surroundings."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click
import psutil
import pytest

from orchestrator import cli
from orchestrator.executors.in_process import InProcess
from orchestrator.jobs import Event, Finished
from orchestrator.observers.subprocess_observer import SubprocessObserver
from orchestrator.record import Kind, Status
from orchestrator.sessions import copies
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from tests.helpers import subprocess_cli
from tests.helpers.in_process_cli import call, content, refused
from tests.helpers.in_process_study import results
from tests.helpers.paths import PLUGINS

QUIET = ("--mirror", "off", "--executor", "in-process")
SECONDS_TO_END = 5.0  # after an interruption
COMMANDS = [
    "study",
    "retrain-best",
    "retrain",
    "train",
    "baselines",
    "recipe",
    "submit",
    "leaderboard",
    "status",
    "enqueue",
    "stop",
    "mirror",
    "data",
    "data fetch",
    "data verify",
    "data preview",
]


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)
    monkeypatch.delenv("ORCHESTRATE_STORAGE", raising=False)


def wait_for_epochs(folder: StudyFolder, more: int) -> None:
    """Until so many more epochs are recorded."""

    def recorded() -> int:
        return sum(file.read_bytes().count(b"\n") for file in folder.path.glob("*/*/epochs.jsonl"))

    before = recorded()
    subprocess_cli.wait_for(lambda: recorded() >= before + more, "the next epochs")


def finished(folder: StudyFolder) -> int:
    return sum(record.status.finished for record in folder.runs())


def trial_lines(messages: str) -> list[str]:
    return [line for line in messages.splitlines() if re.match(r"\[\d+/\d+\] trial \d{4} ", line)]


# ------------------------------------------------------------------------------------------------------------------ help


def commands(group: click.Group, path: tuple[str, ...] = ()) -> dict[str, click.Command]:
    """All commands below a group, by their words."""
    context = click.Context(group)
    found: dict[str, click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found[" ".join((*path, name))] = command
        if isinstance(command, click.Group):
            found |= commands(command, (*path, name))
    return found


def test_the_commands_are_those_that_are_documented() -> None:
    assert sorted(commands(cli.cli)) == sorted(COMMANDS)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_explains_every_option_in_plain_words(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = call(capsys, *command.split(), "--help")
    assert (result.code, result.messages) == (0, "")
    assert result.output.startswith(f"Usage: orchestrate {command}".rstrip())
    assert "\\b" not in result.output
    assert "RANGE" not in result.output
    assert "DIRECTORY" not in result.output
    assert all(len(line) <= 120 for line in result.output.splitlines())
    parameters = commands(cli.cli)[command].params if command else cli.cli.params
    for parameter in parameters:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} is not explained"
            assert parameter.opts[0] in result.output
        else:
            explained = result.output.split("Options:")[0].split("\n", 1)[1]
            assert parameter.human_readable_name.strip("[].").upper() in explained


def test_the_first_help_fits_on_a_screen_and_shows_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    output = call(capsys, "--help").output
    assert len(output.splitlines()) <= 40
    for line in ("orchestrate study part2 --trials 40 ", "orchestrate retrain-best ", "orchestrate leaderboard "):
        assert any(found.strip().startswith(line) for found in output.splitlines()), line
    assert "..." not in output.split("Commands:")[1]


def test_no_command_at_all_is_answered_with_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    result = call(capsys)
    assert result.code == 2
    assert result.output == ""
    assert "Commands:" in result.messages


# ---------------------------------------------------------------------------------------------------------------- output


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
    assert "2 times a trial was tried again elsewhere" in status
    state = json.loads(call(capsys, "status", "--runs", tmp_path / "runs", "--format", "json").output)
    assert (state["failures"], state["setbacks"]) == ({"crashed": 2}, 2)
    table = call(capsys, "leaderboard", "--runs", tmp_path / "runs", "--format", "csv").output.splitlines()
    assert table[0].endswith(",failure_message")
    assert table[1].endswith("RuntimeError: this trainer was told to fail; failed after 2 attempts")
    refused(capsys, 66, "retrain-best", "--runs", tmp_path / "runs", *QUIET, says=("no COMPLETE trial",))


# ---------------------------------------------------------------------------------------------------- closed and full ends


def shell(command: str, folder: Path = PLUGINS, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell, in which `orchestrate` is the command."""
    script = f'orchestrate() {{ "{sys.executable}" -m orchestrator.cli "$@"; }}; set -o pipefail; {command}'
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "ORCHESTRATE_"))}
    return subprocess.run(
        ["bash", "-c", script],
        check=False,
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_reader_that_goes_away_is_no_error() -> None:
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


def test_a_study_goes_on_when_nobody_reads_its_messages(tmp_path: Path) -> None:
    words = f"study curves --trials 3 --runs {tmp_path}/runs {' '.join(QUIET)} --format json"
    result = shell(f"orchestrate {words} 2> >(head -c 1 > /dev/null)")
    assert result.returncode == 0
    assert json.loads(result.stdout)["finished"] == 3


# ----------------------------------------------------------------------------------------------------------- surroundings


def test_no_home_a_plain_locale_and_a_folder_with_an_unusual_name(tmp_path: Path) -> None:
    folder = tmp_path / "Übung 1 (größe)"
    shutil.copytree(PLUGINS, folder)
    script = f'unset HOME; orchestrate study "curves" --trials 2 {" ".join(QUIET)} && orchestrate leaderboard'
    result = shell(script, folder, LC_ALL="C", LANG="C")
    assert result.returncode == 0, result.stderr
    assert len(trial_lines(result.stderr)) == 2
    assert "curves/trials/0001" in result.stdout
    assert (folder / "runs" / "curves" / "study.json").is_file()


def test_from_an_empty_folder_with_what_is_shipped(tmp_path: Path) -> None:
    tmp_path.joinpath("empty").mkdir()
    words = "study part1 --dataset digits --trials 1 --epochs 1 --mirror off --executor in-process"
    result = shell(f"orchestrate {words}", tmp_path / "empty")
    assert result.returncode == 0, result.stderr
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["runs"]
    assert RunsFolder(tmp_path / "empty" / "runs").studies() == ["part1-digits"]


def test_the_console_script_is_the_same_command() -> None:
    script = Path(sys.executable).with_name("orchestrate")
    if not script.is_file():
        pytest.skip("this package is not installed, only imported")
    found = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    assert found.stdout == shell("orchestrate --help").stdout


def test_a_plan_below_the_working_directory_hides_the_shipped_one_of_that_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copytree(PLUGINS, tmp_path / "mine")
    (tmp_path / "mine" / "search_spaces" / "curves.py").rename(tmp_path / "mine" / "search_spaces" / "part1.py")
    words = ["study", "part1", "--dataset", "digits", "--study", "mine", "--runs", str(tmp_path / "runs"), *QUIET]
    assert shell(f"orchestrate {' '.join(words)} --trials 1", tmp_path / "mine").returncode == 0
    assert [record.recipe.trainer for record in RunsFolder(tmp_path / "runs").study("mine").runs()] == ["curve"]
    before = content(tmp_path)
    refused(capsys, 78, *words, "--trials", "2", says=('recipe.trainer: "curve" -> "cnn"',))
    assert content(tmp_path) == before


@pytest.mark.parametrize("kind", ["trainers", "search_spaces"])
def test_a_plug_in_of_ones_own_that_is_broken(kind: str, tmp_path: Path) -> None:
    shutil.copytree(PLUGINS, tmp_path / "mine")
    (file,) = (tmp_path / "mine" / kind).glob("curve*.py") if kind == "trainers" else [tmp_path / "mine" / kind / "curves.py"]
    file.write_text('raise RuntimeError("boom")\n')
    result = shell(f"orchestrate study curves --trials 1 --runs {tmp_path}/runs {' '.join(QUIET)}", tmp_path / "mine")
    assert result.returncode == 65
    assert "RuntimeError: boom" in result.stderr
    assert f"{file}, line 1" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


# ---------------------------------------------------------------------------------------------------------- interruptions


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


def test_an_interrupted_study_says_how_to_go_on_and_ends_with_exactly_its_trials(
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
        assert f"{says}what was recorded stands, and the same command carries on" in messages
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
def test_an_interrupted_retrain_goes_on(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
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
        assert "the same command carries on" in messages
    refused(capsys, 66, "submit", "--runs", runs, says=("no finished retrain",))
    _, messages = subprocess_cli.run(*words, "--mirror", "off")
    assert "carried on" in messages
    (record,) = folder.runs(Kind.RETRAIN)
    assert (record.status, record.epochs) == (Status.COMPLETE, 24)
    assert [epoch.number for epoch in folder.folder(record).epochs()] == list(range(1, 25))
    assert folder.folder(record).submission.is_file()


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


@pytest.mark.parametrize("delay", [0.0, 0.15, 0.5, 1.2])
def test_an_interruption_while_the_command_begins(delay: float, tmp_path: Path) -> None:
    process = subprocess_cli.start("study", "curves", "--trials", "2", "--runs", tmp_path / "runs")
    time.sleep(0.1 + delay)
    process.send_signal(signal.SIGTERM)
    _, messages = process.communicate(timeout=30)
    assert process.returncode in {143, -signal.SIGTERM}
    assert "Traceback" not in messages


# ----------------------------------------------------------------------------------------------------- a database that goes


def kill_copy(_runs: Path) -> None:
    """Kill the process that writes Optuna's copy."""
    living = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    (copy,) = [child for child in living if "orchestrator.observers.subprocess_observer" in child.cmdline()]
    copy.kill()


def garble_database(runs: Path) -> None:
    """Overwrite the database, and what SQLite keeps beside it."""
    for file in runs.glob("optuna.db*"):
        file.write_bytes(b"no database" * (file.stat().st_size // 11))


@pytest.mark.parametrize("lose", [kill_copy, garble_database])
def test_a_database_lost_in_mid_study_costs_no_trial(
    lose: Callable[[Path], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(copies, "SECONDS_TO_FINISH", 2.0)
    runs = tmp_path / "runs"
    folder = RunsFolder(runs).study("slow_curves")

    def lose_later() -> None:
        subprocess_cli.wait_for(lambda: finished(folder) >= 1, "the first trial")
        lose(runs)

    loser = threading.Thread(target=lose_later)
    loser.start()
    result = call(capsys, "study", "slow_curves", "--trials", "3", "--runs", runs, *QUIET)
    loser.join()
    assert result.code == 0, result.messages
    assert [record.status.finished for record in folder.runs(Kind.TRIAL)] == [True] * 3
    (warning,) = [line for line in result.messages.splitlines() if line.startswith("warning: ")]
    assert "Optuna's copy of slow_curves" in warning
    assert "orchestrate mirror slow_curves" in warning
    assert "Traceback" not in result.messages
