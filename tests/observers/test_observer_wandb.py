"""The W&B mirror, proved by W&B's own files read back."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from orchestrator.observers.replay import replay
from orchestrator.observers.subprocess_observer import SubprocessObserver
from orchestrator.observers.wandb import wandb_id
from orchestrator.record import Kind, Status
from tests.helpers.observed_runs import curve, ended, eventually, gone, running, seen, study_of
from tests.helpers.paths import ROOT
from tests.helpers.wandb_files import WandbRun, read_folder
from tests.helpers.wandb_server import WandbServer

COLUMNS = {"epoch", "train_loss", "train_acc", "val_loss", "val_acc", "lr"}
KEY = "0123456789abcdef0123456789abcdef01234567"  # the shape of one


@pytest.fixture(autouse=True)
def nobodys_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, entity, project or mode of the person who runs the tests."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Callable[..., SubprocessObserver]]:
    """Starts a mirror; one that a failed test left is ended."""
    started = []

    def start(mode: str = "offline") -> SubprocessObserver:
        started.append(
            SubprocessObserver(
                "orchestrator.observers.wandb:open_mirror",
                {"study": "part2", "folder": str(tmp_path), "mode": mode},
                log=tmp_path / "logs" / "wandb.log",
                copy="the W&B copy of part2",
            )
        )
        return started[-1]

    yield start
    for observer in started:
        observer.finish(0)


def complete(observer: SubprocessObserver, folder: Path) -> dict[str, WandbRun]:
    assert observer.finish(60) is None
    return read_folder(folder)


def helpers() -> list[psutil.Process]:
    """The mirror's process and W&B's helper, children of this one."""
    return [process for process in psutil.Process().children(recursive=True) if process.is_running()]


def test_a_trial_becomes_a_run_with_its_curve_config_and_summary(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SERVICE", "3-1-tcp-localhost-1")  # of some parent: must not be used
    observer = mirror()
    record, epochs = running(0), curve(3)
    observer.opened(record, [])
    for epoch in epochs:
        observer.measured(seen(record, epochs[: epoch.number]), epoch)
    observer.closed(ended(record, epochs))
    runs = complete(observer, tmp_path)
    assert list(runs) == ["3f2a9c1b-t0000"]
    run = runs["3f2a9c1b-t0000"]
    assert (run.name, run.group, run.job_type) == ("part2-t0000", "part2", "trial")
    assert run.project == "sp25-ds542-challenge"
    assert run.config["params"] == {"learning_rate": 0.01, "batch_size": 64, "model": {"depth": 18}}
    assert run.config["reference"] == "001-P2"
    assert run.config["seed"] == 0
    assert run.config["split"] == {"seed": 0, "train_on": "train"}
    assert run.config["provenance"]["commit"] == "abc123"
    assert run.config["provenance"]["finished"] == record.provenance.started + 10
    assert [row["_step"] for row in run.history] == [1, 2, 3]
    assert [set(row) for row in run.rows()] == [COLUMNS] * 3
    expected = [{name: e.number if name == "epoch" else getattr(e, name) for name in COLUMNS} for e in epochs]
    assert run.rows() == expected
    wanted = {"state": "COMPLETE", "best_val_acc": 0.3, "best_epoch": 3, "epochs": 3, "seconds": 1.5}
    assert wanted.items() <= run.summary.items()
    assert run.exit_code == 0


def test_runs_at_the_same_time_stay_apart_and_every_state_is_told(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_ENTITY", "the-team")
    monkeypatch.setenv("WANDB_PROJECT", "the-project")
    observer = mirror()
    states = [Status.PRUNED, Status.FAILED, Status.RUNNING]
    records, epochs = [running(number) for number in range(3)], curve(2)
    for record in records:
        observer.opened(record, [])
    for epoch in epochs:
        for record in records:
            observer.measured(seen(record, epochs[: epoch.number]), epoch)
    for record, state in zip(records[:2], states[:2], strict=True):
        observer.closed(ended(record, epochs, state))
    final = running(0, Kind.RETRAIN)
    observer.opened(final, epochs)
    observer.closed(ended(final, epochs))
    runs = complete(observer, tmp_path)
    assert len(runs) == 4
    for number, state in enumerate(states):
        run = runs[f"3f2a9c1b-t{number:04d}"]
        assert [row["epoch"] for row in run.history] == [1, 2]
        assert run.config["seed"] == number
        assert run.summary["state"] == state.value
        assert (run.entity, run.project) == ("the-team", "the-project")
    failed = runs["3f2a9c1b-t0001"]
    assert (failed.summary["failure_kind"], failed.summary["failure_message"]) == ("crashed", "ValueError: broken")
    assert failed.exit_code == 1
    assert runs["3f2a9c1b-t0002"].exit_code == 255
    retrain = runs[f"3f2a9c1b-r0000-{final.recipe.fingerprint()[:8]}"]
    assert retrain.job_type == "retrain"
    assert (retrain.summary["test_loss"], retrain.summary["test_acc"]) == (0.2, 0.97)


def test_a_run_opened_again_has_every_epoch_once(mirror: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = mirror()
    record, epochs = running(5), curve(4)
    observer.opened(record, [])
    for epoch in epochs[:3]:
        observer.measured(seen(record, epochs[: epoch.number]), epoch)
    again = replace(record, attempt=2)  # its worker died; the checkpoint was of epoch 2
    observer.opened(again, epochs[:2])
    observer.measured(seen(again, epochs[:3]), epochs[2])
    observer.closed(replace(seen(again, epochs[:3]), status=Status.PAUSED))
    observer.opened(seen(again, epochs[:3]), epochs[:3])
    observer.measured(seen(again, epochs), epochs[3])
    observer.closed(ended(again, epochs))
    runs = complete(observer, tmp_path)
    assert [row["epoch"] for row in runs["3f2a9c1b-t0005"].history] == [1, 2, 3, 4]
    assert runs["3f2a9c1b-t0005"].summary["state"] == "COMPLETE"


def test_a_diverged_epoch_is_mirrored_as_it_is(mirror: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = mirror()
    record = running(0)
    diverged = replace(curve(1)[0], train_loss=float("nan"), val_loss=float("inf"))
    observer.opened(record, [])
    observer.measured(seen(record, [diverged]), diverged)
    observer.closed(ended(record, [diverged], Status.FAILED))
    row = complete(observer, tmp_path)["3f2a9c1b-t0000"].rows()[0]
    assert str(row["train_loss"]).lower() == "nan"
    assert str(row["val_loss"]).lower() in ("inf", "infinity")
    assert row["val_acc"] == 0.1


def test_what_is_mirrored_already_is_left_alone_and_what_changed_is_not(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path
) -> None:
    runs = study_of(3)
    observer = mirror()
    replay(observer, runs)
    complete(observer, tmp_path)
    before = {file: file.stat().st_ino for file in tmp_path.glob("wandb/*run-*/*.wandb")}
    changed = replace(runs[2][0], best=None, epochs=1)
    observer = mirror()
    replay(observer, [*runs[:2], (changed, runs[2][1][:1])])
    found = complete(observer, tmp_path)
    after = {file: file.stat().st_ino for file in tmp_path.glob("wandb/*run-*/*.wandb")}
    assert len(before) == len(after) == 3
    assert len(set(before.items()) & set(after.items())) == 2
    assert [len(run.history) for _, run in sorted(found.items())] == [3, 3, 1]


def test_a_killed_mirror_is_completed_from_the_records(mirror: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    runs = study_of(4)
    observer = mirror()
    replay(observer, runs[:2])
    record, epochs = runs[2]
    observer.opened(running(2), epochs[:1])
    eventually(lambda: len(list(tmp_path.glob("wandb/*run-*/*-t0002.wandb"))) == 1)
    for process in helpers():
        if "observers.process" in " ".join(process.cmdline()):
            process.kill()
    observer.measured(record, epochs[1])
    warning = observer.finish(20)
    assert warning is not None
    assert "orchestrate mirror" in warning
    observer = mirror()
    replay(observer, runs)
    found = complete(observer, tmp_path)
    assert [[row["epoch"] for row in run.history] for _, run in sorted(found.items())] == [[1, 2, 3]] * 4
    assert [run.summary["state"] for _, run in sorted(found.items())] == ["COMPLETE", "PRUNED", "FAILED", "COMPLETE"]


def test_after_a_kill_of_everything_the_files_are_readable(mirror: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = mirror()
    record, epochs = running(0), curve(3)
    observer.opened(record, epochs)

    def rows() -> int:
        return sum(len(run.history) for run in read_folder(tmp_path).values() if run.run_id)

    eventually(lambda: any(tmp_path.glob("wandb/*run-*/*.wandb")) and rows() == 3)
    for process in helpers():
        process.kill()
    observer.finish(20)
    run = read_folder(tmp_path)["3f2a9c1b-t0000"]
    assert [row["epoch"] for row in run.history] == [1, 2, 3]
    assert run.exit_code is None
    assert run.config["params"]["learning_rate"] == 0.01


def test_after_a_kill_of_the_conductor_all_is_gone_and_readable(tmp_path: Path) -> None:
    script = f"""
import time
from pathlib import Path
from orchestrator.observers.subprocess_observer import SubprocessObserver
from tests.helpers.observed_runs import curve, running
folder = Path({str(tmp_path)!r})
configuration = dict(study="part2", folder=str(folder), mode="offline")
observer = SubprocessObserver("orchestrator.observers.wandb:open_mirror", configuration, log=folder / "log", copy="it")
observer.opened(running(0), curve(3))
time.sleep(60)
"""
    root = ROOT
    with subprocess.Popen([sys.executable, "-c", script], cwd=root) as conductor:
        eventually(lambda: any(tmp_path.glob("wandb/*run-*/*.wandb")))
        processes = psutil.Process(conductor.pid).children(recursive=True)
        assert len(processes) == 2
        conductor.send_signal(signal.SIGKILL)
    eventually(lambda: all(map(gone, processes)), seconds=2)
    assert [row["epoch"] for row in read_folder(tmp_path)["3f2a9c1b-t0000"].history] == [1, 2, 3]


@pytest.mark.parametrize("content", ["raise ImportError('no wandb here')", "def init(*args, **kwargs): raise OSError('broken')"])
def test_a_missing_or_broken_library_is_a_warning(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    shim = tmp_path / "shim" / "wandb"
    shim.mkdir(parents=True)
    (shim / "__init__.py").write_text(content)
    monkeypatch.setenv("PYTHONPATH", str(shim.parent))
    observer = mirror()
    replay(observer, study_of(2))
    warning = observer.finish(20)
    assert warning is not None
    assert "orchestrate mirror" in warning
    problem = observer.ready(1)
    assert problem is not None
    assert problem.kind == "failed"


def test_a_folder_named_wandb_in_the_working_directory_does_not_hide_the_library(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "__init__.py").write_text("raise ImportError('this is not W&B')")
    monkeypatch.chdir(tmp_path)
    observer = mirror()
    replay(observer, study_of(1))
    assert len(complete(observer, tmp_path)) == 1


def test_online_without_a_key_writes_files_and_says_so(mirror: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = mirror("online")
    replay(observer, study_of(2))
    warning = observer.finish(60)
    assert warning is not None
    assert "API key" in warning
    assert len(read_folder(tmp_path)) == 2
    assert all(folder.name.startswith("offline-run-") for folder in tmp_path.glob("wandb/*run-*"))


def test_online_every_row_reaches_the_server_once(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, epochs = running(0), curve(4)
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        observer = mirror("auto")
        observer.opened(record, [])
        for epoch in epochs[:2]:
            observer.measured(seen(record, epochs[: epoch.number]), epoch)
        assert observer.finish(60) is None  # Ctrl-C; later the study goes on
        assert [row["epoch"] for row in server.rows["3f2a9c1b-t0000"]] == [1, 2]
        observer = mirror("auto")
        observer.opened(seen(record, epochs[:2]), epochs[:2])
        for epoch in epochs[2:]:
            observer.measured(seen(record, epochs[: epoch.number]), epoch)
        observer.closed(ended(record, epochs))
        assert observer.finish(60) is None
        assert [row["epoch"] for row in server.rows["3f2a9c1b-t0000"]] == [1, 2, 3, 4]
        shutil.rmtree(tmp_path / "wandb")  # so that only the server knows what it has
        observer = mirror("auto")
        replay(observer, [(ended(record, epochs), epochs)])
        assert observer.finish(60) is None
    assert [row["epoch"] for row in server.rows["3f2a9c1b-t0000"]] == [1, 2, 3, 4]
    assert {name for row in server.rows["3f2a9c1b-t0000"] for name in row if not name.startswith("_")} == COLUMNS
    assert KEY not in (tmp_path / "logs" / "wandb.log").read_text()


def test_what_was_written_offline_is_uploaded_once_there_is_a_key(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = study_of(2)
    observer = mirror("auto")
    replay(observer, runs)
    assert len(complete(observer, tmp_path)) == 2
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        for _ in range(2):
            observer = mirror("auto")
            replay(observer, runs)
            assert observer.finish(60) is None
    assert {name: [row["epoch"] for row in rows] for name, rows in server.rows.items()} == {
        "3f2a9c1b-t0000": [1, 2, 3],
        "3f2a9c1b-t0001": [1, 2, 3],
    }


def test_auto_is_offline_without_a_key(mirror: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = mirror("auto")
    replay(observer, study_of(1))
    assert len(complete(observer, tmp_path)) == 1


def test_wandb_mode_disabled_writes_nothing(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    observer = mirror("auto")
    record, epochs = running(0), curve(1)
    observer.opened(record, [])
    observer.measured(seen(record, epochs), epochs[0])
    observer.closed(ended(record, epochs))
    assert complete(observer, tmp_path) == {}


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({}, "offline"),
        ({"WANDB_API_KEY": KEY}, "online"),
        ({"WANDB_API_KEY": KEY, "WANDB_MODE": "offline"}, "offline"),
        ({"NETRC": "stored"}, "online"),
        ({"WANDB_MODE": "online"}, "online"),
    ],
)
def test_auto_asks_this_machine_for_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], mode: str
) -> None:
    stored = tmp_path / "stored"
    stored.write_text(f"machine wandb.example\n  login user\n  password {KEY}\n")
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example")
    for name, value in environment.items():
        monkeypatch.setenv(name, str(stored) if name == "NETRC" else value)
    script = "from orchestrator.observers.wandb import _mode; print(_mode('auto'))"
    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert asked.stdout.split() == [mode]


def test_a_mode_that_nobody_knows_is_refused_with_a_reason(
    mirror: Callable[..., SubprocessObserver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    problem = mirror("auto").ready(20)
    assert problem is not None
    assert "WANDB_MODE='sometimes'" in problem.message


def test_ids_of_all_runs_of_a_study_are_distinct_and_allowed() -> None:
    ids = [wandb_id(running(number, kind)) for number in range(3) for kind in Kind]
    assert len(set(ids)) == 3 * len(Kind)
    assert not set("".join(ids)) & set(":;,#?/'")
