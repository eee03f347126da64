"""A study publishes to a real PostgreSQL, which may be stopped hard, and which costs it nothing but the copy."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from orchestrator.observers.database_url import database_url
from orchestrator.record import Kind
from tests.helpers.in_process_study import results
from tests.helpers.postgresql_server import Server, running
from tests.helpers.study_invariants import assert_whole, published, study_in
from tests.helpers.subprocess_cli import run, start, wait_for

pytestmark = pytest.mark.slow

TRIALS = 7
SCIENTIST, PASSWORD = "scientist", "Tiger@L1on%w:or/d é&100%"
Words = list[str | Path]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as found:
        found.add("team", SCIENTIST, PASSWORD)
        yield found


@pytest.fixture
def up(server: Server) -> Iterator[Server]:
    """The server, which is up again afterwards."""
    yield server
    with contextlib.suppress(Exception):
        server.stop_hard()
    server.start()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    """What the study `slow_curves` finds without any server."""
    tmp_path = tmp_path_factory.mktemp("alone")
    run(*words(tmp_path, "alone"))
    return results(study_in(tmp_path, "alone"))


def words(tmp_path: Path, name: str, plan: str = "slow_curves", trials: int = TRIALS) -> Words:
    common: Words = ["--runs", tmp_path / "runs", "--data-dir", tmp_path, "--mirror", "off"]
    return ["study", plan, "--study", name, "--trials", str(trials), *common]


def team(server: Server) -> dict[str, str]:
    return {"ORCHESTRATE_STORAGE": server.url("team", SCIENTIST, quote(PASSWORD, safe=""))}


def finished(tmp_path: Path, name: str) -> int:
    return sum('"status": "RUNNING"' not in file.read_text() for file in (tmp_path / "runs" / name).glob("trials/*/record.json"))


def assert_published(tmp_path: Path, name: str, server: Server) -> None:
    assert_whole(study_in(tmp_path, name), TRIALS, database_url(team(server)["ORCHESTRATE_STORAGE"]))


@pytest.mark.parametrize("written", [PASSWORD.replace("/", "%2F").replace("é", "%C3%A9"), quote(PASSWORD, safe="")])
def test_the_copy_is_complete_and_the_password_appears_nowhere(written: str, server: Server, tmp_path: Path) -> None:
    name = f"secret-{len(written)}"
    seen: set[str] = set()
    with watched(seen):
        process = start(*words(tmp_path, name), variables={"ORCHESTRATE_STORAGE": server.url("team", SCIENTIST, written)})
        output, messages = process.communicate(timeout=300)
        assert process.returncode == 0, messages
        again, refusal = run(*words(tmp_path, name, trials=TRIALS + 1), code=2)
    assert_published(tmp_path, name, server)
    assert "passwords are never stored" in refusal
    assert any("executors.worker_process" in line for line in seen)
    assert any("observers.subprocess_observer" in line for line in seen)
    files = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    assert any(path.name == "optuna.log" for path in files)
    for secret in (PASSWORD, written, "Tiger", "L1on"):
        assert not [path for path, content in files.items() if secret.encode() in content]
        assert secret not in output + messages + again + refusal
        assert not [line for line in seen if secret in line]


@contextlib.contextmanager
def watched(seen: set[str]) -> Iterator[None]:
    """Collect the command lines of all processes of this machine, many times a second."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for process in psutil.process_iter():
                with contextlib.suppress(psutil.Error):
                    seen.add("\0".join(process.cmdline()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_server_that_is_down_at_the_start(up: Server, tmp_path: Path) -> None:
    up.stop_hard()
    _, messages = run(*words(tmp_path, "down"), code=69, variables=team(up))
    assert messages.startswith("error: ")
    assert len(messages.splitlines()) == 1
    assert "is the database running" in messages
    assert not (tmp_path / "runs" / "down").exists()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_server_that_is_away_for_five_seconds(how: str, up: Server, tmp_path: Path, alone: list[tuple[object, ...]]) -> None:
    conductor = start(*words(tmp_path, how), variables=team(up))
    wait_for(lambda: finished(tmp_path, how) >= 1, "the first trial")
    up.stop_hard() if how == "stopped" else up.kill()
    stopped, before = time.monotonic(), finished(tmp_path, how)
    wait_for(lambda: finished(tmp_path, how) > before + 1, "a trial without the database", 20.0)
    time.sleep(max(0.0, stopped + 5 - time.monotonic()))
    up.start()
    _, messages = conductor.communicate(timeout=120)
    assert conductor.returncode == 0, messages
    assert "warning" not in messages
    assert_published(tmp_path, how, up)
    assert results(study_in(tmp_path, how)) == alone


def test_a_server_that_never_comes_back(up: Server, tmp_path: Path, alone: list[tuple[object, ...]]) -> None:
    conductor = start(*words(tmp_path, "lost"), variables=team(up))
    wait_for(lambda: finished(tmp_path, "lost") >= 1, "the first trial")
    up.kill()
    wait_for(lambda: finished(tmp_path, "lost") == TRIALS, "the last trial")
    ended = time.monotonic()
    _, messages = conductor.communicate(timeout=120)
    assert (
        time.monotonic() - ended < 40.0
    )  # a copy may take 60 s to finish, but not one whose server is away; other tests run beside
    assert conductor.returncode == 0, messages
    assert "warning: Optuna's copy of lost is incomplete" in messages
    assert "orchestrate mirror lost" in messages
    assert results(study_in(tmp_path, "lost")) == alone
    mirror: Words = ["mirror", "lost", "--runs", tmp_path / "runs", "--mirror", "off"]
    run(*mirror, code=69, variables=team(up))
    up.start()
    run(*mirror, variables=team(up))
    assert_published(tmp_path, "lost", up)


def test_two_colleagues_share_a_database_and_a_third_takes_their_name(server: Server, tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    both = [start(*words(folder, folder.name, "curves"), variables=team(server)) for folder in (mine, theirs)]
    for process in both:
        _, messages = process.communicate(timeout=300)
        assert process.returncode == 0, messages
    assert_published(mine, "mine", server)
    assert_published(theirs, "theirs", server)
    _, messages = run(*words(theirs, "mine", "curves"), code=78, variables=team(server))
    assert "has another study 'mine'" in messages
    assert not (theirs / "runs" / "mine").exists()
    assert_published(mine, "mine", server)


def test_stock_optuna_reads_every_value(server: Server, tmp_path: Path) -> None:
    url = database_url(team(server)["ORCHESTRATE_STORAGE"])
    run(*words(tmp_path, "stock", "curves"), variables={"ORCHESTRATE_STORAGE": url})  # with its driver named
    assert_published(tmp_path, "stock", server)
    folder = study_in(tmp_path, "stock")
    best = min(folder.runs(Kind.TRIAL), key=lambda record: record.order())
    assert best.best is not None
    with published("stock", url) as found:
        assert (found.best_trial.number, found.best_value) == (best.number, best.best.value)
        assert found.best_params == {name: best.recipe.params[name] for name in found.best_params}
