"""Data, and nothing else, on stdout: whatever plug-ins and libraries print, and whichever streams are closed."""

import ast
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from orchestrator.cli import cli
from orchestrator.cli.lazy_group import Command
from orchestrator.cli.messages import say
from orchestrator.cli.process.standard_streams import data_width, emit, only_data_on_stdout
from orchestrator.storage.runs import RunsFolder
from tests.cli.studies import QUIET, shell
from tests.helpers.in_process_cli import call
from tests.helpers.paths import PLUGINS, ROOT

# Every way to print: Python's, past its stream, to the stream it began with, of a child process, and of C code.
LOUD = """
import ctypes, os, subprocess, sys

def loud(door):
    print(door, "print")
    os.write(1, f"{door} descriptor\\n".encode())
    if sys.__stdout__ is not None:
        sys.__stdout__.write(f"{door} original\\n")
    subprocess.run(["echo", door, "child"])
    libc = ctypes.CDLL(None)
    libc.puts(f"{door} library".encode())
    libc.fflush(None)
"""
WAYS = ("print", "descriptor", "original", "child", "library")

PLAN = (PLUGINS / "search_spaces" / "curves.py").read_text()
TRAINER = (PLUGINS / "trainers" / "curve.py").read_text()
DATA_SET = (ROOT / "trainers" / "datasets" / "digits.py").read_text()
REPORT = """
loud("report-import")

def report(frames):
    loud("report")
    return frames.runs[["run"]]
"""
SYSTEMS = """
loud("system-import")
SYSTEMS = ()
"""


def _after(text: str, line: str, door: str) -> str:
    """The text with a loud line after the one that begins like this, at the indentation of a function's body."""
    assert line in text
    before, found, rest = text.partition(line)
    head, _, tail = rest.partition("\n")
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return f'{before}{found}{head}\n{indent}loud("{door}")\n{tail}'


@pytest.fixture(scope="module")
def loud_plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory whose plug-ins all print in every way, when they are imported and when they are called."""
    folder = tmp_path_factory.mktemp("loud")
    dataset = _after(_after(DATA_SET, "    def info", "info"), "    def load", "load")
    trainer = _after(_after(TRAINER, "    def check", "check"), "    def epoch", "epoch")
    for place, text in {
        "search_spaces/loud.py": LOUD
        + _after(PLAN, "def plan", "plan").replace('"digits"', '"noisy"').replace('"curve"', '"loud"'),
        "search_spaces/reference_systems/loud.py": LOUD + SYSTEMS,
        "trainers/loud.py": LOUD + trainer,
        "trainers/datasets/noisy.py": LOUD + dataset,
        "reports/loud.py": LOUD + REPORT,
    }.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        head, marker, rest = text.partition(LOUD)
        assert not head
        (folder / place).write_text(marker + f'\nloud("import-{Path(place).stem}")\n' + rest)
    return folder


def _heard(messages: str, door: str) -> None:
    for way in WAYS:
        assert f"{door} {way}" in messages, f"{door} {way}"


def test_a_reference_system_that_prints_leaves_the_data_alone(loud_plugins: Path) -> None:
    result = shell("orchestrate baselines --format json", folder=loud_plugins)
    assert len(json.loads(result.stdout)) > 10
    _heard(result.stderr, "system-import")


@pytest.mark.slow
def test_whatever_prints_only_data_are_on_stdout(loud_plugins: Path, tmp_path: Path) -> None:
    words = f"study loud --trials 1 --epochs 1 --runs {tmp_path}/runs {' '.join(QUIET)} --format json"
    planned = shell(f"orchestrate {words} --dry-run", folder=loud_plugins)
    assert json.loads(planned.stdout)["trials"] == 1
    searched = shell(f"orchestrate {words}", folder=loud_plugins)
    assert json.loads(searched.stdout)["finished"] == 1
    for door in ("plan", "check", "epoch", "info", "load", "import-loud", "import-noisy"):
        _heard(searched.stderr, door)
    listed = shell(f"orchestrate leaderboard --report loud --runs {tmp_path}/runs --format csv", folder=loud_plugins)
    assert listed.stdout == "run\nloud/trials/0000\n"
    _heard(listed.stderr, "report")
    recipe = shell("orchestrate recipe loud", folder=loud_plugins)
    assert json.loads(recipe.stdout)["trainer"] == "loud"
    _heard(recipe.stderr, "plan")


# Of every command; descriptor 2 is what libraries print to, so a file that has it would be written into.
PROBE = """if True:
    import os, sys
    from orchestrator import cli
    from orchestrator.cli import lazy_group
    from orchestrator.cli.process import standard_streams
    import click

    @cli.cli.command("probe")
    @click.argument("path")
    def probe(path):
        with open(path, "w") as file:
            assert file.fileno() > 2
            print("message")
            os.write(2, b"message\\n")
            standard_streams.emit("data")
            print(sys.stderr.isatty())

    cli.main()
"""


@pytest.mark.parametrize("closed", ["0", "1", "2", "0 1 2"])
def test_no_file_gets_the_descriptor_of_a_closed_stream(closed: str, tmp_path: Path) -> None:
    file = tmp_path / "truth"
    closing = " ".join(f"{number}>&-" for number in closed.split())
    result = shell(f'"{sys.executable}" -c "$PROBE" probe {file} {closing}', PROBE=PROBE)
    assert result.returncode == 0, result.stderr
    assert file.read_text() == ""
    assert result.stdout == ("" if "1" in closed else "data\n")
    assert result.stderr == ("" if "2" in closed else "message\nmessage\nFalse\n")


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_a_study_whose_streams_are_closed_writes_sound_records(closed: str, tmp_path: Path) -> None:
    """With stderr closed, its lines once went to stdout, and whatever a library printed into a file of the study."""
    (tmp_path / "noisy.py").write_text(
        PLAN.replace("def plan", "import os\n\n\ndef plan").replace("    return", "    os.write(2, b'x')\n    return")
    )
    words = f"study {tmp_path}/noisy.py --trials 2 --runs {tmp_path}/runs {' '.join(QUIET)} --format json"
    result = shell(f"orchestrate {words} {closed}")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "" if "1>" in closed else json.loads(result.stdout)["finished"] == 2
    words = f"--runs {tmp_path}/runs {' '.join(QUIET)}"
    again = shell(f"orchestrate retrain-best {words} {closed}; orchestrate status --runs {tmp_path}/runs --format json")
    assert json.loads(again.stdout)["retrains"] != {}
    assert {record.status.value for record in RunsFolder(tmp_path / "runs").study("noisy").runs()} == {"COMPLETE"}


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_command_whose_stream_is_not_there(
    stream: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, stream, None)
    with only_data_on_stdout():
        print("message")
        emit("data")
        say("said")
        assert data_width() is None
    assert capsys.readouterr() == (("", "message\nsaid\n") if stream == "stdout" else ("data\n", ""))


def test_messages_that_cannot_be_written_stop_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open("w") as closed:
        monkeypatch.setattr(sys, "stderr", closed)
    say("nobody reads this")


def test_help_is_data_and_nested_commands_share_one_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Usage: orchestrate study" in call(capsys, "study", "--help").output
    assert "Usage: orchestrate data fetch" in call(capsys, "data", "fetch", "--help").output
    with only_data_on_stdout(), only_data_on_stdout():
        emit("data")
    assert capsys.readouterr().out == "data\n"


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
)
def test_data_are_utf_8_and_errors_readable_in_every_locale(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "cafe.json").write_text('{"plan": "mine", "trainer": "cnn", "dataset": "folder:/cafés", "epochs": 1, "seed": 0}')
    result = subprocess.run(
        [
            "bash",
            "-c",
            f'"{sys.executable}" -m orchestrator.cli recipe cafe.json; "{sys.executable}" -m orchestrator.cli recipe naïve.json',
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        check=False,
    )
    assert json.loads(result.stdout.decode())["dataset"] == "folder:/cafés"
    # Where the locale knows no such letters, the name is no text, and is refused for that.
    assert re.search(rb"^error: (there is no recipe |'?)na.+ve\.json", result.stderr)
    assert b"Traceback" not in result.stderr


def test_the_terminal_decides_the_width_and_a_pipe_has_none() -> None:
    program = """if True:
        from orchestrator.cli.process.standard_streams import data_width, only_data_on_stdout
        with only_data_on_stdout():
            print(data_width())
    """
    environment = {**os.environ, "COLUMNS": "50"}
    command = [sys.executable, "-c", program]
    piped = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    leader, follower = pty.openpty()
    try:
        shown = subprocess.run(command, env=environment, stdout=follower, stderr=subprocess.PIPE, text=True, check=True)
    finally:
        os.close(follower)
        os.close(leader)
    assert (piped.stdout, piped.stderr, shown.stderr) == ("", "None\n", "50\n")


def test_every_command_keeps_stdout_for_data() -> None:
    groups: list[click.Group] = [cli]
    for group in groups:
        for name in group.list_commands(click.Context(group)):
            command = group.get_command(click.Context(group), name)
            if isinstance(command, click.Group):
                groups.append(command)
            else:
                assert isinstance(command, Command), name


# In these, data leave through `emit` and messages through `say`; the modules that run in a process of their own have a log.
ROOMS = ("cli", "engine", "search", "scheduling", "selection", "sessions", "stopping", "storage", "submission", "support")
MAY_PRINT = {"orchestrator/cli/messages.py", "orchestrator/cli/process/standard_streams.py", "orchestrator/cli/__init__.py"}


def test_only_two_functions_print() -> None:
    found = []
    rooms = [ROOT / "orchestrator" / room for room in ROOMS] + [ROOT / "trainers", ROOT / "reports"]
    for path in (path for room in rooms for path in room.rglob("*.py")):
        if str(path.relative_to(ROOT)) in MAY_PRINT:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "click.echo", "sys.stdout.write"):
                found.append(f"{path}: {ast.unparse(node.func)}")
            if (
                isinstance(node, ast.Attribute)
                and ast.unparse(node) in ("sys.stdout", "sys.stderr.isatty")
                and path.stem != "activity"
            ):
                found.append(f"{path}: {ast.unparse(node)}")
    assert found == []
