"""Studies on a real Ray cluster of several nodes, which are really removed; commands that start Ray here, really killed."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.executors.base import Executor
from orchestrator.executors.processes import Processes
from orchestrator.jobs import Began, Event, Failed, Finished, Paused, Saved
from orchestrator.record import Epoch, RunRecord, Status
from orchestrator.storage import checkpoint
from orchestrator.storage.run_folder import RunFolder
from orchestrator.storage.runs import RunsFolder
from orchestrator.testing.executor import job, until
from tests.helpers.image_folders import pictures
from tests.helpers.in_process_study import conduct, results
from tests.helpers.paths import PLUGINS
from tests.helpers.subprocess_cli import wait_for


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["digits", "folder"])
def test_the_same_study_gives_the_same_numbers_on_every_executor(dataset: str, tmp_path: Path) -> None:
    from tests.helpers.ray_cluster import actors

    found = {}
    study = f"part1-{dataset if dataset == 'digits' else 'pictures'}"
    if dataset == "folder":
        dataset = f"folder:{pictures(tmp_path / 'pictures')}"
    for name in ("in-process", "processes", "ray"):
        folder = tmp_path / name
        executor: Executor | None = None
        if name == "processes":
            executor = Processes(devices=["cpu"], threads=1, data_folder=folder, logs=folder / "logs")
        if name == "ray":
            executor = actors(folder)
        try:
            conduct(folder, 3, executor=executor, plan="part1", dataset=dataset, epochs=2)
        finally:
            if executor is not None:
                executor.close()
        found[name] = results(RunsFolder(folder / "runs").known(study))
        (record, *_) = RunsFolder(folder / "runs").known(study).runs()
        assert (record.provenance.threads, record.provenance.device) == (1, "cpu")
    assert len(found["ray"]) == 3
    assert found["ray"] == found["processes"] == found["in-process"]


class _AtEpoch:
    """An observer that does something when the study has recorded so many epochs."""

    def __init__(self, count: int, action: Any) -> None:
        self._left = count
        self._action = action

    def opened(self, record: RunRecord, epochs: Any) -> None:
        pass

    def measured(self, record: RunRecord, epoch: Epoch) -> None:
        self._left -= 1
        if self._left == 0:
            self._action()

    def closed(self, record: RunRecord) -> None:
        pass

    def finish(self, timeout: float) -> str | None:
        return None


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Sockets need a path of at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.slow
def test_a_machine_is_removed_in_mid_study_and_another_comes(tmp_path: Path, short_folder: Path) -> None:
    """Random search without pruning suggests by number alone, so that three workers must find what one finds."""
    from tests.helpers.ray_cluster import NODES, actors, cluster

    trials = 30
    # What the later ones need is given to them only when the other machine has come, however late the loss is noticed.
    gate = tmp_path / "gate"
    fixed: dict[int, dict[str, Any]] = {
        number: {"seconds": 0.5} if number < 18 else {"seconds": 0.1, "device_file": str(gate)} for number in range(trials)
    }
    options: dict[str, Any] = {"sampler": "random", "pruner": "none"}
    doomed = cluster().add_node(num_cpus=1)
    said: list[tuple[float, str]] = []
    # As on a machine of its own: a node that begins clears what it finds of the code that was shipped to its folder.
    own = short_folder
    removed: list[float] = []
    added: list[Any] = []

    def remove() -> None:
        cluster().remove_node(doomed, allow_graceful=False)
        removed.append(time.monotonic())

    def say(line: str) -> None:
        said.append((time.monotonic(), line))
        if f"room for {NODES} of" in line:
            added.append(cluster().add_node(num_cpus=1, temp_dir=str(own)))
        if "started on" in line:
            fcntl.flock(held, fcntl.LOCK_UN)

    held = gate.open("wb")
    fcntl.flock(held, fcntl.LOCK_EX)
    late = threading.Timer(200.0, fcntl.flock, (held, fcntl.LOCK_UN))  # then the study ends without it, and the test fails
    late.start()
    executor = actors(tmp_path, workers=str(NODES + 2), say=say)
    try:
        assert executor.workers == NODES + 1
        records = conduct(
            tmp_path,
            trials,
            executor=executor,
            observers=[_AtEpoch(12, remove)],
            fixed=fixed,
            say=say,
            checkpoint_share=1.0,
            **options,
        )
    finally:
        late.cancel()
        held.close()
        executor.close()
        for node in added:  # its folder goes
            cluster().remove_node(node)
    lines = [line for _, line in said]
    assert any(f"room for {NODES + 1} of the {NODES + 2} requested workers" in line for line in lines)
    (lost,) = [when for when, line in said if "retry 1 of 2" in line]
    assert 0 <= lost - removed[0] < 40.0
    assert any(f"room for {NODES} of the {NODES + 2} requested workers" in line for line in lines)
    # Whichever of the two empty places it fills: the one that was lost, or the one for which there was no machine yet.
    assert any("started on" in line for line in lines)
    assert [record.number for record in records] == list(range(trials))
    assert all(record.status is Status.COMPLETE for record in records)
    assert sum(record.attempt == 2 for record in records) == 1
    study = RunsFolder(tmp_path / "runs").known("curves")
    for record in records:
        assert [epoch.number for epoch in study.folder(record).epochs()] == list(range(1, 9))
    conduct(tmp_path / "calm", trials, fixed=fixed_without_waiting(fixed), **options)
    calm = results(RunsFolder(tmp_path / "calm" / "runs").known("curves"))
    assert [without_seconds(found) for found in results(study)] == [without_seconds(found) for found in calm]


def fixed_without_waiting(fixed: Mapping[int, Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    return {number: {**params, "seconds": 0.0, "device_file": ""} for number, params in fixed.items()}


def without_seconds(found: tuple[Any, ...]) -> tuple[Any, ...]:
    """A result without how long an epoch of the trainer `curve` was told to take, and what it waited for."""
    number, status, recipe, *others = found
    return (number, status, replace(recipe, params={**recipe.params, "seconds": 0.0, "device_file": ""}), *others)


@pytest.fixture
def node_that_hides(tmp_path: Path) -> Iterator[Path]:
    """A folder of this machine, and a node of the cluster that has an empty one there: as without a shared disk."""
    from tests.helpers.ray_cluster import cluster

    hidden = tmp_path / "hidden"
    hidden.mkdir()
    program = (
        'mount -t tmpfs none "$1" && exec "$2" -m ray.scripts.scripts start --address="$3" --num-cpus=1 --num-gpus=0 '
        "--object-store-memory=100000000 --block"
    )
    words = ["unshare", "--mount", "sh", "-c", program, "sh", str(hidden), sys.executable, cluster().address]
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("may not make a file system that only one process sees")
    before = alive()
    node = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(lambda: alive() == before + 1, "the node that hides", 60.0)
        yield hidden
    finally:
        os.killpg(node.pid, signal.SIGTERM)
        node.wait(30)


def alive() -> int:
    """Nodes of the cluster, asked for by a process of its own: this one is not connected."""
    from tests.helpers.ray_cluster import cluster

    program = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False); print(sum(n['Alive'] for n in ray.nodes()))"
    words = [sys.executable, "-c", program, cluster().address]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
def test_without_a_shared_disk_checkpoints_travel(node_that_hides: Path) -> None:
    from tests.helpers.ray_cluster import NODES, actors

    said: list[str] = []
    executor = actors(node_that_hides, workers=str(NODES + 1), say=said.append)
    try:
        (far,) = [int(line.split()[1]) for line in said if "cannot see the runs folder" in line]
        one = replace(job(node_that_hides, trainer="curve", until=3), checkpoint_share=1.0)
        occupied = 0
        while executor.start(replace(one, run_id=f"s/trials/{occupied:04d}")) != far:
            occupied += 1
            folder = node_that_hides / f"run-{occupied}"
            folder.mkdir()
            RunFolder(folder).begin_attempt(1)
            one = replace(one, folder=str(folder))
        run_id, run = f"s/trials/{occupied:04d}", RunFolder(Path(one.folder))
        saved: list[Event] = []
        while not any(isinstance(event, Saved) and event.run_id == run_id for event in saved):
            saved += until(executor, Saved)
        (at,) = {event.epoch for event in saved if isinstance(event, Saved) and event.run_id == run_id}
        assert len(checkpoint.read(run.last_checkpoint)["epochs"]) >= at
        executor.stop(run_id, keep=True)
        while not any(isinstance(event, Paused) and event.run_id == run_id for event in saved):
            saved += until(executor, Paused)
        held = len(checkpoint.read(run.last_checkpoint)["epochs"])
        assert executor.start(replace(one, run_id=run_id, attempt=2, resume=True, until_epoch=4)) == far
        again: list[Event] = []
        while not any(isinstance(event, Finished | Failed) and event.run_id == run_id for event in again):
            again += until(executor, Finished, Failed)
        mine = [event for event in again if event.run_id == run_id and event.attempt == 2]
        assert isinstance(mine[0], Began)
        assert len(mine[0].epochs) == held > 0
        assert isinstance(mine[-1], Finished)
        assert checkpoint.read(run.best_checkpoint)["epoch"] == mine[-1].best_epoch
    finally:
        executor.close()
