"""`orchestrator.study` does what the command does, raises what it reports, and leaves the process as it was."""

import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import click
import pytest

import orchestrator
from orchestrator.cli.study import study as command
from orchestrator.errors import BadSettings, InvalidInput, Mismatch, MissingInput, OrchestrateError, UnknownName
from orchestrator.record import Status
from orchestrator.sessions.outcome import StudyOutcome
from orchestrator.storage.runs import RunsFolder
from orchestrator.support.serialization import to_plain
from tests.helpers.in_process_cli import call, content
from tests.helpers.in_process_study import results
from tests.helpers.paths import PLUGINS, ROOT
from tests.helpers.subprocess_cli import wait_for

QUIET: dict[str, Any] = {"mirror": "off", "executor": "in-process"}


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


def test_its_parameters_are_the_commands_options() -> None:
    options = {option.opts[0] for option in command.params if isinstance(option, click.Option)}
    parameters = inspect.signature(orchestrator.study).parameters
    named = {f"--{name.replace('_', '-')}" for name in parameters if name not in ("plan", "say")}
    assert named == options - {"--format"}
    assert {parameter.default for name, parameter in parameters.items() if name != "plan"} == {
        None
    }  # the command's defaults count
    assert all(parameter.kind is parameter.KEYWORD_ONLY for name, parameter in parameters.items() if name != "plan")


@pytest.mark.slow
def test_it_finds_what_the_command_finds_and_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--trials", "5", "--runs", "RUNS", "--mirror", "off", "--executor", "in-process", "--seed", "3")
    typed = call(
        capsys, "study", "curves", *(str(tmp_path / "a") if word == "RUNS" else word for word in words), "--format", "json"
    )
    outcome = orchestrator.study("curves", trials=5, runs=tmp_path / "b", seed=3, **QUIET)
    said, messages = capsys.readouterr()
    assert said == ""
    assert len(messages.splitlines()) == len(typed.messages.splitlines())
    assert messages.splitlines()[0] == typed.messages.splitlines()[0].replace(f"{tmp_path}/a", f"{tmp_path}/b")
    folders = [RunsFolder(tmp_path / name).known("curves") for name in "ab"]
    assert results(folders[0]) == results(folders[1])
    found = json.loads(typed.output)
    assert to_plain(outcome.details) == found
    assert isinstance(outcome, StudyOutcome)
    assert (outcome.study, outcome.folder, outcome.exit_code, outcome.ended) == ("curves", tmp_path / "b" / "curves", 0, "")
    assert (outcome.finished, outcome.asked) == (5, 5)
    assert (outcome.best, outcome.metric, outcome.value) == (found["best"]["run"], "val_acc", found["best"]["val_acc"])
    assert to_plain(outcome.params) == found["best"]["params"]
    assert outcome.params.keys() == {"batch_size", "learning_rate", "weight_decay", "label_smoothing", "dropout"}
    with pytest.raises(FrozenInstanceError):
        outcome.finished = 6  # type: ignore[misc]  # what is under test
    with pytest.raises(TypeError):
        outcome.params["dropout"] = 1  # type: ignore[index]  # the same


def surroundings() -> tuple[Any, ...]:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    return (dict(os.environ), *handlers, signal.getitimer(signal.ITIMER_REAL), Path.cwd(), sys.dont_write_bytecode, sys.stdout)


@pytest.mark.slow
def test_the_same_call_resumes_and_a_larger_number_extends_and_the_process_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    before, meanwhile = surroundings(), []
    call = {"runs": tmp_path, "say": lambda line: meanwhile.append((line, dict(os.environ))), **QUIET}
    assert orchestrator.study("curves", trials=2, **call).finished == 2
    extended = orchestrator.study("curves", trials=3, **call)
    assert (extended.finished, extended.asked) == (3, 3)
    assert any(line.startswith("study curves resumed with 2 finished trials") for line, _ in meanwhile)
    with pytest.raises(Mismatch, match="seed"):
        orchestrator.study("curves", seed=7, **call)
    assert surroundings() == before
    for _, environment in meanwhile:
        assert "NVIDIA_TF32_OVERRIDE" not in environment  # it would make the record untrue


@pytest.mark.slow
def test_an_early_end_in_a_thread_has_its_reason_and_no_message_a_password(tmp_path: Path) -> None:
    said: list[str] = []
    found: list[StudyOutcome] = []
    url = f"sqlite:///file:{tmp_path}/team.db?uri=true&password=s3cret"

    def work() -> None:
        found.append(
            orchestrator.study("curves", trials=20, patience=1, runs=tmp_path / "runs", storage=url, say=said.append, **QUIET)
        )

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    (outcome,) = found
    assert (outcome.asked, outcome.exit_code) == (20, 0)
    assert 1 < outcome.finished < 20
    assert "1 trial" in outcome.ended
    assert outcome.details["ended"] == outcome.ended
    assert not any("s3cret" in line or "command line" in line for line in said)


def test_where_every_trial_fails_the_exit_code_says_so(tmp_path: Path) -> None:
    plan = (PLUGINS / "search_spaces" / "curves.py").read_text()
    (tmp_path / "mine.py").write_text(plan.replace("seed=0)", 'seed=0, params={"misbehaviour": "raise"})'))
    said: list[str] = []
    outcome = orchestrator.study(tmp_path / "mine.py", trials=1, runs=tmp_path / "runs", say=said.append, **QUIET)
    assert (outcome.exit_code, outcome.finished, outcome.best, outcome.value, outcome.params) == (1, 1, None, None, {})
    assert said[-1].startswith("error: every trial failed; ")


REFUSED: dict[str, tuple[type[OrchestrateError], dict[str, Any]]] = {
    "no trials": (InvalidInput, {"trials": 0}),
    "a fraction of a trial": (InvalidInput, {"trials": 4.5}),
    "a truth value for a number": (InvalidInput, {"trials": True}),
    "a new study without a number": (InvalidInput, {}),
    "an unknown data set": (UnknownName, {"trials": 1, "dataset": "digitz"}),
    "an unknown pruner": (UnknownName, {"trials": 1, "pruner": "medium"}),
    "an unknown mirror": (UnknownName, {"trials": 1, "mirror": "on"}),
    "an empty folder": (InvalidInput, {"trials": 1, "data_dir": ""}),
    "no duration": (InvalidInput, {"trials": 1, "budget": "6 hours"}),
    "what would do nothing": (InvalidInput, {"trials": 1, "executor": "processes", "ray_address": "host:1"}),
    "no address": (InvalidInput, {"trials": 1, "storage": "nowhere"}),
    "no name": (InvalidInput, {"trials": 1, "study": "a/b"}),
    "bytes that are no text": (InvalidInput, {"trials": 1, "study": "caf\udce9"}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_raises_what_the_command_reports(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kind, options = REFUSED[what]
    given = {**QUIET, **options}
    with pytest.raises(OrchestrateError) as raised:
        orchestrator.study("curves", runs=tmp_path / "runs", **given)
    assert type(raised.value) is kind
    if "bytes" not in what:  # there is no such word in a test's command line
        words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
        typed = call(capsys, "study", "curves", "--runs", tmp_path / "runs", *words)
        assert typed.messages == f"error: {raised.value}\n"
        assert typed.code == raised.value.exit_code
    assert content(tmp_path) == {}


def test_plans_and_flags_of_the_wrong_kind(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown plan '--trials=3'"):
        orchestrator.study("--trials=3", trials=1, runs=tmp_path)
    with pytest.raises(MissingInput, match="there is no plan file"):
        orchestrator.study(tmp_path / "none.py", trials=1, runs=tmp_path)
    with pytest.raises(InvalidInput, match=r"^replicate is True or False, not 'yes'$"):
        orchestrator.study("curves", trials=1, runs=tmp_path, replicate="yes")  # type: ignore[arg-type]  # what is under test
    with pytest.raises(TypeError, match="trails"):
        orchestrator.study("curves", trails=1)  # type: ignore[call-arg]  # the same


@pytest.mark.parametrize(("budget", "seconds"), [(5400, 5400.0), (1.5, 1.5), ("1h30m", 5400.0)])
def test_a_dry_run_writes_nothing_and_returns_its_plan(budget: float | str, seconds: float, tmp_path: Path) -> None:
    before = surroundings()
    outcome = orchestrator.study("curves", trials=3, runs=tmp_path, budget=budget, dry_run=True, **QUIET)
    assert outcome.planned.endswith("nothing was written")
    assert outcome.details["limits"]["budget"] == seconds
    assert (outcome.finished, outcome.asked, outcome.best, outcome.exit_code) == (0, 3, None, 0)
    assert content(tmp_path) == {}
    assert surroundings() == before


def test_settings_files_count_here_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Path(shutil.copytree(PLUGINS, tmp_path / "here"))
    monkeypatch.chdir(here)
    (here / "orchestrate.toml").write_text('runs = "mine"\n')
    assert orchestrator.study("curves", trials=1, **QUIET).folder == Path("mine/curves")
    assert [str(name) for name in orchestrator.runs().runs["run"]] == ["curves/trials/0000"]
    assert orchestrator.class_names("curves/0") == ()  # its checkpoint is found, and has none
    (here / "orchestrate.toml").write_text("run = 3\n")
    with pytest.raises(BadSettings, match="unknown setting 'run'"):
        orchestrator.study("curves", trials=2, **QUIET)


def test_plug_ins_are_read_as_they_are_now_and_where_the_process_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def epochs(folder: Path) -> int:
        monkeypatch.chdir(folder)
        outcome = orchestrator.study("edited", trials=1, runs=tmp_path / "runs", dry_run=True, say=lambda line: None)
        return int(outcome.details["options"]["epochs"])

    plan = (PLUGINS / "search_spaces" / "curves.py").read_text()
    for name, number in (("one", 3), ("other", 5)):
        shutil.copytree(PLUGINS, tmp_path / name)
        (tmp_path / name / "search_spaces" / "edited.py").write_text(plan.replace("epochs=8,", f"epochs={number},"))
    assert epochs(tmp_path / "one") == 3
    (tmp_path / "one" / "search_spaces" / "edited.py").write_text(plan.replace("epochs=8,", "epochs=11,"))
    assert epochs(tmp_path / "one") == 11
    assert epochs(tmp_path / "other") == 5


@pytest.mark.slow
def test_an_interruption_is_said_and_raised_and_the_same_call_resumes(tmp_path: Path) -> None:
    said: list[str] = []

    def press(line: str) -> None:
        said.append(line)
        if "] trial 0001 " in line:
            os.kill(os.getpid(), signal.SIGINT)

    # A shell lets its background processes, and all that they start, ignore Ctrl-C.
    as_started = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = surroundings()
    try:
        with pytest.raises(KeyboardInterrupt):
            orchestrator.study("curves", trials=4, runs=tmp_path, say=press, **QUIET)
        assert surroundings() == before
    finally:
        signal.signal(signal.SIGINT, as_started)
    assert said[-1] == "interrupted; progress is saved; the same call resumes the study"
    folder = RunsFolder(tmp_path).known("curves")
    assert 2 <= sum(record.status.finished for record in folder.runs()) < 4
    assert orchestrator.study("curves", trials=4, runs=tmp_path, say=said.append, **QUIET).finished == 4
    assert {record.status for record in folder.runs()} <= {Status.COMPLETE, Status.PRUNED}
    assert folder.holder() is None


SCRIPT = """
import os, signal, sys
from pathlib import Path
import orchestrator

with Path("begun").open("a") as begun:
    begun.write(f"{os.getpid()}\\n")
try:
    outcome = orchestrator.study("slow_curves", trials=TRIALS, runs="runs", mirror="off", device="cpu")
    print(outcome.finished, outcome.exit_code)
except KeyboardInterrupt:
    print("interrupted")
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


@pytest.mark.slow
def test_a_script_without_a_main_guard(tmp_path: Path) -> None:
    """Its workers are processes of their own, which do not run it again; Ctrl-C reaches it as an exception."""
    here = Path(shutil.copytree(PLUGINS, tmp_path / "here"))
    (here / "mine.py").write_text(
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n" + SCRIPT.replace("TRIALS", "3")
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "mine.py"]
    process = subprocess.Popen(arguments, cwd=here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: any((here / "runs").glob("*/trials/0000/epochs.jsonl")), "the first epoch")
    process.send_signal(signal.SIGINT)
    output, messages = process.communicate(timeout=60)
    assert (process.returncode, output.split()) == (0, ["interrupted", "True"]), messages
    assert messages.splitlines()[-1] == "interrupted; progress is saved; the same call resumes the study"
    done = subprocess.run(arguments, cwd=here, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["3", "0", "True"]
    assert len((here / "begun").read_text().split()) == 2  # the two calls, and none of their workers
