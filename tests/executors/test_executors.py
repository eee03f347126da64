"""All executors keep one contract, and worker processes may die."""

import importlib
import inspect
import os
import pkgutil
import signal
from collections import Counter
from pathlib import Path

import pytest

from orchestrator import executors
from orchestrator.errors import OrchestrateError
from orchestrator.executors.base import Executor
from orchestrator.executors.gpu_sharing import GpuSharing
from orchestrator.executors.in_process import InProcess
from orchestrator.executors.processes import Processes
from orchestrator.jobs import Began, Failed, Finished, WorkerLost
from orchestrator.record import Status
from orchestrator.storage.runs import RunsFolder
from orchestrator.support.clock import SystemClock
from orchestrator.testing.executor import ExecutorConformance, job, until
from tests.helpers.in_process_study import conduct, results
from tests.helpers.paths import PLUGINS
from tests.helpers.subprocess_cli import ended, workers_of


def in_processes(folder: Path) -> Processes:
    return Processes(devices=["cpu"], threads=1, data_folder=folder, logs=folder / "logs")


class TestInProcess(ExecutorConformance):
    def make(self, folder: Path) -> Executor:
        return InProcess(device="cpu", threads=1, data_folder=folder)


@pytest.mark.slow
class TestProcesses(ExecutorConformance):
    def make(self, folder: Path) -> Executor:
        return in_processes(folder)

    def test_a_failure_names_the_log_that_has_its_traceback(self, executor: Executor, tmp_path: Path) -> None:
        assert isinstance(executor, Processes)
        executor.start(job(tmp_path, failure="raise"))
        failed = until(executor, Failed)[-1]
        assert isinstance(failed, Failed)
        printed = (executor._logs / failed.failure.log).read_text()
        assert "--- s/trials/0000, attempt 1, failed:\nTraceback (most recent call last):\n" in printed
        for at in failed.failure.source_lines:
            assert f'File "{at.file}", line {at.line}, in ' in printed


@pytest.mark.slow
class TestSharedGpus(ExecutorConformance):
    def make(self, folder: Path) -> Executor:
        return GpuSharing(in_processes(folder), clock=SystemClock(), say=lambda line: None)


@pytest.mark.slow
class TestRay(ExecutorConformance):
    def make(self, folder: Path) -> Executor:
        from tests.helpers.ray_cluster import actors  # Ray is only started by slow tests

        return actors(folder)


def is_protocol(kind: type) -> bool:
    return bool(getattr(kind, "_is_protocol", False))


def test_every_executor_of_the_package_is_tested_here() -> None:
    tested = {InProcess.__name__, Processes.__name__, GpuSharing.__name__, "RayActors"}
    promised = [name for name in vars(Executor) if not name.startswith("_") and name != "workers"]
    found = set()
    for module in pkgutil.iter_modules(executors.__path__, f"{executors.__name__}."):
        for name, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if kind.__module__ == module.name and not is_protocol(kind) and all(hasattr(kind, each) for each in promised):
                found.add(name)
    assert found == tested


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


@pytest.mark.slow
def test_a_worker_that_dies_is_reported_and_replaced(tmp_path: Path) -> None:
    executor = in_processes(tmp_path)
    try:
        executor.start(job(tmp_path, trainer="curve", misbehaviour="kill", at_epoch=2))
        events = until(executor, WorkerLost)
        lost = events[-1]
        assert isinstance(lost, WorkerLost)
        assert (lost.run_id, lost.attempt) == ("s/trials/0000", 1)
        assert "signal 9" in lost.message
        assert lost.log == "worker-0.log"
        executor.start(job(tmp_path, trainer="curve", attempt=2))
        assert isinstance(until(executor, Finished, Failed)[-1], Finished)
    finally:
        executor.close()


def test_workers_that_cannot_begin_are_not_started_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken" / "orchestrator"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    executor = in_processes(tmp_path)
    try:
        with pytest.raises(OrchestrateError, match=r"exit code 3.*worker-0\.log"):
            until(executor, Began)
    finally:
        executor.close()


@pytest.mark.slow
def test_no_worker_outlives_close(tmp_path: Path) -> None:
    executor = in_processes(tmp_path)
    executor.start(job(tmp_path, trainer="curve", seconds=60.0))
    until(executor, Began)
    workers = workers_of(os.getpid())
    assert workers
    executor.close()
    executor.close()
    assert all(map(ended, workers))


@pytest.mark.slow
def test_a_trial_whose_worker_dies_is_retried_from_its_checkpoint(tmp_path: Path) -> None:
    executor = in_processes(tmp_path)
    marker = str(tmp_path / "died")
    said: list[str] = []
    try:
        fixed = {1: {"misbehaviour": "kill", "at_epoch": 6, "marker": marker}}
        records = conduct(tmp_path, 4, executor=executor, fixed=fixed, say=said.append, checkpoint_share=1.0)
    finally:
        executor.close()
    assert [record.status.finished for record in records] == [True] * 4
    assert Path(marker).exists()
    assert (records[1].attempt, len(records[1].setbacks), records[1].epochs) == (2, 1, 8)
    assert records[1].setbacks[0].log == "worker-0.log"
    assert records[1].setbacks[0].kind == "lost"
    assert any("retry 1 of 2" in line for line in said)
    calm = conduct(tmp_path / "calm", 4, fixed={1: {**fixed[1], "misbehaviour": ""}})
    assert [record.best for record in records] == [record.best for record in calm]
    assert len(results(RunsFolder(tmp_path / "runs").known("curves"))) == 4


@pytest.mark.slow
def test_a_trial_that_kills_every_worker_fails_as_lost_and_the_study_goes_on(tmp_path: Path) -> None:
    executor = in_processes(tmp_path)
    try:
        records = conduct(tmp_path, 3, executor=executor, fixed={1: {"misbehaviour": "kill", "at_epoch": 2}})
    finally:
        executor.close()
    assert Counter(record.status for record in records) == {Status.COMPLETE: 2, Status.FAILED: 1}
    failure = records[1].failure
    assert failure is not None
    assert failure.kind == "lost"
    assert "3 attempts" in failure.message


@pytest.mark.slow
def test_a_trial_that_kills_every_worker_before_it_begins_is_its_own_failure(tmp_path: Path) -> None:
    executor = in_processes(tmp_path)
    try:
        records = conduct(tmp_path, 3, executor=executor, fixed={1: {"misbehaviour": "kill", "at_epoch": 0}})
    finally:
        executor.close()
    assert [record.status for record in records] == [Status.COMPLETE, Status.FAILED, Status.COMPLETE]
    assert records[1].failure is not None
    assert records[1].failure.kind == "lost"


@pytest.mark.slow
def test_two_workers_share_the_trials(tmp_path: Path) -> None:
    executor = Processes(devices=["cpu", "cpu"], threads=1, data_folder=tmp_path, logs=tmp_path / "logs")
    try:
        records = conduct(tmp_path, 12, executor=executor)
    finally:
        executor.close()
    assert [record.number for record in records] == list(range(12))
    assert all(record.status.finished for record in records)
    assert len({record.recipe.configuration() for record in records}) == 12


@pytest.mark.slow
def test_a_stopped_worker_does_not_stop_the_end(tmp_path: Path) -> None:
    executor = in_processes(tmp_path)
    executor.start(job(tmp_path, trainer="curve", seconds=60.0))
    until(executor, Began)
    (worker,) = workers_of(os.getpid())
    os.kill(worker.pid, signal.SIGSTOP)
    executor.close()
    assert ended(worker)
