"""Workers on a real Ray cluster that fail, hang, idle or are ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator.executors.base import Executor
from orchestrator.jobs import Failed, Finished, WorkerLost
from orchestrator.record import Kind
from orchestrator.storage.runs import RunsFolder
from orchestrator.testing.executor import job, until
from tests.helpers.in_process_study import results
from tests.helpers.paths import PLUGINS
from tests.helpers.subprocess_cli import ended, start, wait_for
from tests.helpers.subprocess_cli import run as run_command


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


@pytest.mark.slow
def test_a_worker_without_the_data_says_where(tmp_path: Path) -> None:
    from tests.helpers.ray_cluster import actors

    executor = actors(tmp_path)
    try:
        wanted = job(tmp_path, trainer="curve")
        executor.start(replace(wanted, recipe=replace(wanted.recipe, dataset="cifar100")))
        failed = until(executor, Failed)[-1]
    finally:
        executor.close()
    assert isinstance(failed, Failed)
    assert failed.failure.kind == "data"
    assert failed.failure.message.startswith(f"on {socket.gethostname()}: ")
    assert str(tmp_path) in failed.failure.message


@pytest.mark.slow
def test_a_worker_that_idles_is_missed_and_one_that_is_ended_is_refilled(tmp_path: Path) -> None:
    from tests.helpers.ray_cluster import actors

    executor = actors(tmp_path)
    try:
        (idle,) = ray_workers()
        idle.kill()
        lost = until(executor, WorkerLost)[-1]
        assert (lost.run_id, lost.attempt) == ("", 0)
        assert started(executor, job(tmp_path, trainer="curve", seconds=60.0)) == 0
        executor.replace(0)
        lost = until(executor, WorkerLost)[-1]
        assert (lost.run_id, lost.attempt) == ("s/trials/0000", 1)
        assert started(executor, job(tmp_path, trainer="curve", attempt=2)) == 0
        assert isinstance(until(executor, Finished, Failed)[-1], Finished)
        executor.retire(0)
        assert executor.workers == 0
    finally:
        executor.close()


@pytest.mark.slow
def test_a_worker_that_does_not_begin_is_asked_for_again(tmp_path: Path) -> None:
    from tests.helpers.ray_cluster import actors

    said: list[str] = []
    executor = actors(tmp_path, say=said.append, seconds_to_begin=20.0)
    try:
        before = set(ray_workers())
        executor.replace(0)
        wait_for(lambda: bool(set(ray_workers()) - before), "another worker's process", 60.0)
        (hanging,) = set(ray_workers()) - before
        hanging.suspend()  # before it could import torch, and answer
        assert started(executor, job(tmp_path, trainer="curve")) == 0
        assert isinstance(until(executor, Finished, Failed)[-1], Finished)
    finally:
        executor.close()
    assert any(line.startswith("worker 0 has not started within 2") for line in said)
    assert any("worker 0 restarted on" in line for line in said)
    wait_for(lambda: ended(hanging), "the end of the worker that hung", 30.0)


def ray_workers() -> list[psutil.Process]:
    """This process's, on all nodes of the tests' cluster."""
    return [process for process in psutil.Process().children(recursive=True) if "RayWorker" in " ".join(command_line(process))]


@pytest.mark.slow
def test_the_table_of_jobs_that_ray_keeps_shows_no_password(tmp_path: Path) -> None:
    """Ray records the command line of whoever connects; all of the cluster can read it. The database here never answers."""
    from tests.helpers.ray_cluster import cluster

    address = cluster().address
    words: list[str | Path] = ["study", "curves", "--trials", "1", "--runs", tmp_path / "runs", "--data-dir", tmp_path]
    words += ["--mirror", "off", "--executor", "ray", "--ray-address", address]
    _, messages = run_command(*words, "--storage", "postgresql://me:s3cret@127.0.0.1:1/name", code=69)
    program = (
        "import ray, sys, ray._private.state; ray.init(sys.argv[1], log_to_driver=False); "
        "print([job['Entrypoint'] for job in ray._private.state.jobs()])"
    )
    table = subprocess.run([sys.executable, "-c", program, address], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) in table
    assert "s3cret" not in table + messages


def command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def started(executor: Executor, wanted: Any) -> int | None:
    """Start a job as soon as there is a worker for it."""
    deadline = time.monotonic() + 60.0
    while (worker := executor.start(wanted)) is None and time.monotonic() < deadline:
        executor.events(0.2)
    return worker


@pytest.mark.slow
def test_a_study_on_ray_is_terminated_and_killed_and_resumed(tmp_path: Path) -> None:
    words: list[str | Path] = ["study", "slow_curves", "--trials", "7", "--runs", tmp_path / "runs", "--data-dir", tmp_path]
    words += ["--mirror", "off", "--executor", "ray", "--format", "json"]
    for number, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        conductor = start(*words)
        before = finished(tmp_path)
        wait_for(lambda before=before: finished(tmp_path) > before, "another trial")  # type: ignore[misc]  # bound on purpose
        everyone = psutil.Process(conductor.pid).children(recursive=True)
        workers = [process for process in everyone if "RayWorker" in " ".join(command_line(process))]
        assert workers
        os.kill(conductor.pid, number)
        asked = time.monotonic()
        output, messages = conductor.communicate(timeout=60)
        assert conductor.returncode == code
        assert time.monotonic() - asked <= 8.0  # 5 s, and Ray's own processes, which take 1 to 2 s to end
        assert output == ""
        assert "Traceback" not in messages
        wait_for(lambda workers=workers: all(map(ended, workers)), "the end of the workers", 10.0)  # type: ignore[misc]
    output, messages = run_command(*words)
    assert json.loads(output)["finished"] == 7
    assert "resumed with" in messages
    study = RunsFolder(tmp_path / "runs").known("slow_curves")
    records = study.runs(Kind.TRIAL)
    assert [record.number for record in records] == list(range(7))
    assert all(record.status.finished for record in records)
    alone: list[str | Path] = [
        "study",
        "slow_curves",
        "--trials",
        "7",
        "--runs",
        tmp_path / "alone",
        "--data-dir",
        tmp_path,
        "--mirror",
        "off",
    ]
    run_command(*alone)
    assert results(study) == results(RunsFolder(tmp_path / "alone").known("slow_curves"))
    assert not list(study.path.glob("probe-*.part"))


def finished(tmp_path: Path) -> int:
    return sum('"status": "RUNNING"' not in file.read_text() for file in (tmp_path / "runs").glob("*/trials/*/record.json"))
