"""An observer in a process of its own: nothing that happens to it reaches the conductor, and it dies with the conductor."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psutil
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from orchestrator.errors import Mismatch, OrchestrateError, Unavailable
from orchestrator.observers.database_url import database_url
from orchestrator.observers.replay import replay
from orchestrator.observers.subprocess_observer import SubprocessObserver
from orchestrator.record import Status
from orchestrator.support.secrets import Secrets, hide_passwords
from tests.helpers import observed_runs
from tests.helpers.observed_runs import curve, ended, eventually, gone, running, seen, study_of
from tests.helpers.paths import ROOT

PASSWORD = "s3cr3t-w0rd"
URL = f"postgresql://someone:{PASSWORD}@db.example:5432/studies"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SubprocessObserver]:
    """Starts an observer of `tests/helpers/observed_runs.py`, which its process finds through PYTHONPATH."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def starter(opener: str = "open_recording", **configuration: Any) -> SubprocessObserver:
        configuration.setdefault("file", str(tmp_path / "calls"))
        return SubprocessObserver(
            f"{observed_runs.__name__}:{opener}", configuration, log=tmp_path / "logs" / "observer.log", copy="the copy of part2"
        )

    return starter


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


def child_of(tmp_path: Path) -> psutil.Process:
    return psutil.Process(int((tmp_path / "calls.pid").read_text()))


def test_a_copy_gives_way_to_training(start: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = start()
    assert observer.ready(20) is None
    child = child_of(tmp_path)
    assert child.nice() == min(psutil.Process().nice() + 10, 19)
    session = Path(f"/proc/{child.pid}/autogroup")
    if session.is_file():  # a kernel that weighs sessions
        assert session.read_text().split()[-1] == "10"
    assert observer.finish(20) is None


def test_every_call_arrives_whole_and_in_order(start: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = start()
    record, epochs = running(3), curve(2)
    diverged = replace(epochs[1], val_loss=float("nan"))
    observer.opened(record, [])
    observer.measured(seen(record, epochs[:1]), epochs[0])
    observer.measured(seen(record, [epochs[0], diverged]), diverged)
    observer.closed(ended(record, epochs, Status.PRUNED))
    assert observer.ready(20) is None
    assert observer.finish(20) is None
    run = "part2/trials/0003"
    assert calls(tmp_path) == [
        f"opened {run} 0",
        f"measured {run} 1 2.5",
        f"measured {run} 2 nan",
        f"closed {run} PRUNED",
        "finish",
    ]
    assert observer.finish(1) is None


def test_a_hanging_observer_delays_no_call_and_loses_none(start: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    observer = start(gate=str(gate))
    replay(observer, study_of(300))  # several times what a pipe holds; would wait here for ever
    gate.touch()
    assert observer.finish(30) is None
    assert len(calls(tmp_path)) == 601


def test_an_observer_that_never_ends_is_ended(start: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = start(gate=str(tmp_path / "never"))
    assert observer.ready(20) is None
    child = child_of(tmp_path)
    observer.opened(running(), [])
    warning = observer.finish(0.3)
    assert warning is not None
    assert "orchestrate mirror" in warning
    assert "the copy of part2" in warning
    assert gone(child)


def test_a_copy_of_nothing_lacks_nothing(start: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    """As after a Ctrl-C before the first trial: the child still imports, and its log is empty."""
    assert start(gate=str(tmp_path / "never")).finish(0.0) is None


def test_a_warning_names_no_log_that_is_empty(start: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = start(gate=str(tmp_path / "never"))
    observer.opened(running(), [])
    warning = observer.finish(0.0)
    assert warning is not None
    assert "it was not completed in time. To complete it, run: orchestrate mirror" in warning


def test_a_killed_observer_is_a_warning_and_nothing_else(start: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = start()
    assert observer.ready(20) is None
    record, epochs = running(), curve(3)
    observer.opened(record, [])
    eventually((tmp_path / "calls").exists)
    child_of(tmp_path).kill()
    for epoch in epochs:
        observer.measured(seen(record, epochs[: epoch.number]), epoch)
    observer.closed(ended(record, epochs))
    warning = observer.finish(20)
    assert warning is not None
    assert "killed by signal 9" in warning
    assert "orchestrate mirror" in warning


def test_one_run_that_cannot_be_copied_does_not_cost_the_others(start: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = start(breaks_at="opened part2/trials/0001")
    replay(observer, study_of(3))
    warning = observer.finish(20)
    assert warning is not None
    assert "cannot note opened part2/trials/0001" in warning
    assert "opened part2/trials/0002 3" in calls(tmp_path)
    assert "Traceback" in (tmp_path / "logs" / "observer.log").read_text()


@pytest.mark.parametrize("opener", ["open_nothing", "open_recording.missing"])
def test_an_observer_that_cannot_begin_is_a_warning(start: Callable[..., SubprocessObserver], opener: str) -> None:
    observer = start(opener)
    replay(observer, study_of(2))
    problem = observer.ready(20)
    assert problem is not None
    assert problem.kind == "failed"
    assert "orchestrate mirror" in (observer.finish(20) or "")


def test_a_process_that_cannot_be_started_is_a_warning(
    start: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-such-python"))
    observer = start()
    replay(observer, study_of(2))
    problem = observer.ready(1)
    assert problem is not None
    assert problem.kind == "failed"
    assert "no-such-python" in (observer.finish(1) or "")


@pytest.mark.parametrize(
    ("opener", "kind", "error"),
    [("open_talkative", "unavailable", Unavailable), ("open_mismatched", "mismatch", Mismatch)],
)
def test_the_reason_for_not_starting_has_its_exit_code(
    start: Callable[..., SubprocessObserver], opener: str, kind: str, error: type[OrchestrateError]
) -> None:
    observer = start(opener, url=URL)
    problem = observer.ready(20)
    assert problem is not None
    assert problem.kind == kind
    assert type(problem.error()) is error
    assert observer.finish(5) is not None


def test_no_password_in_logs_messages_command_lines_and_environments(
    start: Callable[..., SubprocessObserver], tmp_path: Path
) -> None:
    talkative = start("open_talkative", url=URL)
    problem = talkative.ready(20)
    assert problem is not None
    warning = talkative.finish(5)
    log = (tmp_path / "logs" / "observer.log").read_text()
    assert "db.example" in log
    assert "db.example" in problem.message
    assert PASSWORD not in log + problem.message + str(warning)

    silent = start(url=URL)
    assert silent.ready(20) is None
    child = child_of(tmp_path)
    assert PASSWORD not in " ".join([*child.cmdline(), *child.environ().values()])
    assert silent.finish(5) is None


@given(password=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="@:/?#[]%&'\"\\<>"), min_size=4))
def test_a_password_is_hidden_wherever_it_is_quoted(password: str) -> None:
    assume(password not in "cannot open postgresql+psycopg://user:@host/name")  # a word of the rest would be hidden there, too
    url = f"postgresql+psycopg://user:{password}@host/name"
    said = Secrets({"nested": [{"url": url}]}).hide(f"cannot open {url} ({password})")
    assert said == "cannot open postgresql+psycopg://user:***@host/name (***)"
    assert hide_passwords(f"{url} and {url}").count("***") == 2


@pytest.mark.parametrize("password", ["p@ss", "@", "p@ss@word@", "%zz", "100%", "a/b@c:d", "%40"])
def test_no_part_of_a_pasted_password_is_shown(password: str) -> None:
    url = f"postgresql://user:{password}@host:5432/name"
    assert hide_passwords(f"cannot open {url}, sorry") == "cannot open postgresql://user:***@host:5432/name, sorry"
    given = make_url(database_url(url))
    assert (given.username, given.password, given.host, given.port) == ("user", unquote(password), "host", 5432)
    assert given.drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////home/me@work/runs/optuna.db",
        "sqlite:///C:/me@work/optuna.db",
        "postgresql+psycopg://host/name?options=a@b",
        "postgresql+psycopg://me@host/name",
        "postgresql+psycopg:///name?host=/var/run",
        "mysql+pymysql://me:secret@host/name?x=a@b",
    ],
)
def test_other_addresses_are_given_to_the_database_as_they_are(url: str) -> None:
    assert database_url(url) == url


def test_a_decoded_password_and_one_in_the_query_are_hidden() -> None:
    secrets = Secrets({"url": "mysql://u:p%40ssw%C3%B6rd@h/n?password=other-one&x=1"})
    assert secrets.hide("p%40ssw%C3%B6rd p@sswörd other-one") == "*** *** ***"
    assert hide_passwords("mysql://h/n?password=other-one&x=1") == "mysql://h/n?password=***&x=1"


def test_text_without_a_password_stays_as_it_is() -> None:
    text = "sqlite:////runs/optuna.db at 12:30, postgresql://host:5432/name, https://pypi.example/@scope"
    assert hide_passwords(text) == text
    assert Secrets({"url": "postgresql://post:post@host/n"}).hide("postgresql") == "postgresql"


def test_ctrl_c_in_the_terminal_does_not_reach_the_observer(start: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = start()
    assert observer.ready(20) is None
    child = child_of(tmp_path)
    assert os.getsid(child.pid) == child.pid
    for number in (signal.SIGINT, signal.SIGTERM):
        child.send_signal(number)
    observer.opened(running(), [])
    assert observer.finish(20) is None
    assert calls(tmp_path) == ["opened part2/trials/0000 0", "finish"]


CONDUCTOR = """
    import sys, time
    from pathlib import Path
    from orchestrator.observers.subprocess_observer import SubprocessObserver
    from tests.helpers.observed_runs import curve, running
    folder = Path(sys.argv[1])
    opener = "tests.helpers.observed_runs:open_recording"
    observer = SubprocessObserver(opener, {configuration}, log=folder / "observer.log", copy="it")
    for number in range(5):
        observer.opened(running(number), curve(3))
    time.sleep(60)
"""


def killed_conductor(tmp_path: Path, **configuration: str) -> psutil.Process:
    """The observer process of a conductor that was just killed."""
    configuration["file"] = str(tmp_path / "calls")
    script = textwrap.dedent(CONDUCTOR).replace("{configuration}", repr(configuration))
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) as conductor:
        eventually(lambda: (tmp_path / "calls.pid").exists() and (tmp_path / "calls.pid").read_text() != "")
        child = child_of(tmp_path)
        if "gate" not in configuration:
            eventually(lambda: (tmp_path / "calls").exists() and len(calls(tmp_path)) == 5)
        conductor.kill()
    return child


@pytest.mark.usefixtures("start")
def test_a_killed_conductor_takes_its_observer_with_it(tmp_path: Path) -> None:
    child = killed_conductor(tmp_path)
    eventually(lambda: gone(child), seconds=2)
    assert calls(tmp_path)[-1] == "finish"


@pytest.mark.usefixtures("start")
def test_a_killed_conductor_takes_even_a_hanging_observer_with_it(tmp_path: Path) -> None:
    child = killed_conductor(tmp_path, gate=str(tmp_path / "never"))
    eventually(lambda: gone(child), seconds=2)


def test_a_successor_waits_until_the_last_writer_is_gone(start: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    first = start("open_with_helper")
    assert first.ready(20) is None
    child_of(tmp_path).kill()
    second = start()
    replay(second, study_of(1))
    assert second.finish(20) is None
    first.finish(1)
    assert calls(tmp_path) == ["helper", "opened part2/trials/0000 3", "closed part2/trials/0000 COMPLETE", "finish"]
