"""All executors keep one contract: the same events for the same jobs, whoever dies. New executors are added to EXECUTORS."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

import orchestrator.executors
from orchestrator import plugins
from orchestrator.errors import OrchestrateError
from orchestrator.executors.base import Executor
from orchestrator.executors.gpu_sharing import GpuSharing
from orchestrator.executors.in_process import InProcess
from orchestrator.executors.processes import Processes
from orchestrator.hyperparameters import complete
from orchestrator.jobs import Began, Event, Failed, Finished, Job, Measured, Paused, Saved, WorkerLost
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch, Metric, Status
from orchestrator.storage.run_folder import RunFolder
from orchestrator.storage.runs import RunsFolder
from orchestrator.support.clock import SystemClock
from tests.helpers.in_process_study import conduct, results, without_time
from tests.helpers.paths import PLUGINS
from tests.helpers.subprocess_cli import ended


def on_ray(folder: Path) -> Executor:
    from tests.helpers.ray_cluster import actors  # Ray is only started by slow tests

    return actors(folder)


def in_processes(folder: Path) -> Processes:
    return Processes(devices=["cpu"], threads=1, data_folder=folder, logs=folder / "logs")


EXECUTORS: dict[str, Callable[[Path], Executor]] = {
    "in-process": lambda folder: InProcess(device="cpu", threads=1, data_folder=folder),
    "processes": in_processes,
    "gpu-sharing": lambda folder: GpuSharing(in_processes(folder), clock=SystemClock(), say=lambda line: None),
    "ray": on_ray,
}
QUICK = ("in-process", "processes")
# Of the package: the protocol, and what executors are made of.
NO_EXECUTORS = {
    "base",
    "code-shipping",
    "devices",
    "gpu-capacity",
    "ray-cluster",
    "ray-placement",
    "ray-slot",
    "ray-worker",
    "wire",
    "worker-process",
}


def test_no_executor_is_left_out_here() -> None:
    folder = Path(orchestrator.executors.__file__).parent
    assert {file.stem.replace("_", "-") for file in folder.glob("[!_]*.py")} - NO_EXECUTORS == set(EXECUTORS)


SECONDS = 120.0  # to wait for anything at all


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


@pytest.fixture(scope="module")
def on_one_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Executor]]:
    """The Ray executor of all tests here: to begin one takes 10 s, and they all end what they start."""
    made: list[Executor] = []

    def once() -> Executor:
        if not made:
            made.append(EXECUTORS["ray"](tmp_path_factory.mktemp("ray")))
        return made[0]

    yield once
    for executor in made:
        executor.close()


@pytest.fixture(params=[*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in EXECUTORS if name not in QUICK)])
def executor(request: pytest.FixtureRequest, tmp_path: Path, on_one_cluster: Callable[[], Executor]) -> Iterator[Executor]:
    if request.param == "ray":
        yield on_one_cluster()
        return
    made = EXECUTORS[request.param](tmp_path)
    yield made
    made.close()


def job(
    folder: Path, *, trainer: str = "curve", epochs: int = 4, attempt: int = 1, until: int | None = None, **params: Any
) -> Job:
    path = folder / "run"
    path.mkdir(exist_ok=True)
    RunFolder(path).begin_attempt(attempt)
    recipe = Recipe(
        plan="p",
        trainer=trainer,
        dataset="digits",
        epochs=epochs,
        seed=5,
        params=complete(plugins.trainer(trainer).hyperparameters, params),
    )
    return Job(
        run_id="s/trials/0000", attempt=attempt, recipe=recipe, metric=Metric(), until_epoch=until or epochs, folder=str(path)
    )


def until(executor: Executor, *kinds: type) -> list[Event]:
    """Everything that happens up to the first event of one of these kinds."""
    happened: list[Event] = []
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        happened += executor.events(1.0)
        if any(isinstance(event, kinds) for event in happened):
            return happened
    raise AssertionError(f"none of {kinds} within {SECONDS} s, but {happened}")


def epochs(events: list[Event]) -> list[Epoch]:
    return [without_time(event.epoch) for event in events if isinstance(event, Measured)]


def test_a_job_is_trained_to_its_end(executor: Executor, tmp_path: Path) -> None:
    executor.start(job(tmp_path))
    events = until(executor, Finished, Failed)
    assert isinstance(events[0], Began)
    assert events[0].facts.threads == 1
    assert len(events[0].facts.data_digest) == 64
    assert [epoch.number for epoch in epochs(events)] == [1, 2, 3, 4]
    assert isinstance(events[-1], Finished)
    assert (tmp_path / "run" / "best.pt").is_file()


def test_a_worker_waits_for_its_grant_and_serves_the_next_job(executor: Executor, tmp_path: Path) -> None:
    executor.start(job(tmp_path, until=2))
    until(executor, Measured)
    executor.grant("s/trials/0000", 3)
    seen: list[Event] = []
    quiet = time.monotonic() + 2.0
    while time.monotonic() < quiet:
        seen += executor.events(0.2)
    assert max(epoch.number for epoch in epochs(seen)) == 3
    executor.stop("s/trials/0000")
    executor.start(replace(job(tmp_path), run_id="s/trials/0001"))
    assert {event.run_id for event in until(executor, Finished, Failed)} == {"s/trials/0001"}


def test_a_paused_job_goes_on_where_it_was_with_the_same_numbers(executor: Executor, tmp_path: Path) -> None:
    executor.start(job(tmp_path, trainer="cnn", until=2))
    whole = until(executor, Measured)
    while len(epochs(whole)) < 2:
        whole += until(executor, Measured)
    executor.stop("s/trials/0000", keep=True)
    assert isinstance(until(executor, Paused)[-1], Paused)
    executor.start(replace(job(tmp_path, trainer="cnn", attempt=2), resume=True))
    events = until(executor, Finished, Failed)
    assert isinstance(events[0], Began)
    assert [without_time(epoch) for epoch in events[0].epochs] == epochs(whole)
    assert [epoch.number for epoch in epochs(events)] == [3, 4]
    reference = InProcess(device="cpu", threads=1, data_folder=tmp_path)
    reference.start(replace(job(tmp_path, trainer="cnn"), run_id="s/trials/0009"))
    assert epochs(until(reference, Finished))[2:] == epochs(events)


def test_all_executors_give_the_same_numbers(tmp_path: Path) -> None:
    found = {}
    for name in QUICK:  # tests/test_ray.py compares whole studies
        (tmp_path / name).mkdir()
        executor = EXECUTORS[name](tmp_path / name)
        try:
            executor.start(job(tmp_path / name, trainer="cnn", epochs=2, batch_size=64, dropout=0.2))
            found[name] = epochs(until(executor, Finished, Failed))
        finally:
            executor.close()
    assert len(found["processes"]) == 2
    assert all(numbers == found["processes"] for numbers in found.values())


def test_a_failing_trainer_is_a_failed_job_and_the_worker_lives_on(executor: Executor, tmp_path: Path) -> None:
    executor.start(job(tmp_path, misbehaviour="raise"))
    failed = until(executor, Failed)[-1]
    assert isinstance(failed, Failed)
    assert "told to fail" in failed.failure.message
    executor.start(replace(job(tmp_path), run_id="s/trials/0001"))
    assert isinstance(until(executor, Finished, Failed)[-1], Finished)


def test_checkpoints_are_written_by_share_of_time(executor: Executor, tmp_path: Path) -> None:
    executor.start(replace(job(tmp_path, epochs=6), checkpoint_share=1.0))
    assert [type(event) for event in until(executor, Finished)].count(Saved) >= 3
    executor.start(replace(job(tmp_path, epochs=6), checkpoint_share=0.0, run_id="s/trials/0001"))
    assert Saved not in [type(event) for event in until(executor, Finished)]


def test_the_test_set_is_measured_once_and_only_when_asked(executor: Executor, tmp_path: Path) -> None:
    executor.start(job(tmp_path, epochs=1))
    (plain,) = [event for event in until(executor, Finished) if isinstance(event, Finished)]
    assert plain.test is None
    executor.start(replace(job(tmp_path, epochs=1), measure="test", run_id="s/trials/0001"))
    (measured,) = [event for event in until(executor, Finished) if isinstance(event, Finished)]
    assert measured.test is not None
    assert measured.test.images == len(plugins.dataset("digits").load(tmp_path, "test").labels)
    assert measured.test.loss == pytest.approx(2.302585, rel=1e-5)  # the trainer gives every class a tenth


def test_a_worker_that_dies_is_reported_and_replaced(tmp_path: Path) -> None:
    executor = EXECUTORS["processes"](tmp_path)
    try:
        executor.start(job(tmp_path, misbehaviour="kill", at_epoch=2))
        events = until(executor, WorkerLost)
        lost = events[-1]
        assert isinstance(lost, WorkerLost)
        assert (lost.run_id, lost.attempt) == ("s/trials/0000", 1)
        assert "signal 9" in lost.message
        executor.start(job(tmp_path, attempt=2))
        assert isinstance(until(executor, Finished, Failed)[-1], Finished)
    finally:
        executor.close()


def test_workers_that_cannot_begin_are_not_started_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken" / "orchestrator"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    executor = EXECUTORS["processes"](tmp_path)
    try:
        with pytest.raises(OrchestrateError, match=r"exit code 3.*worker-0\.log"):
            until(executor, Began)
    finally:
        executor.close()


def test_no_worker_outlives_close(tmp_path: Path) -> None:
    executor = EXECUTORS["processes"](tmp_path)
    executor.start(job(tmp_path, seconds=60.0))
    until(executor, Began)
    workers = psutil.Process().children()
    assert workers
    executor.close()
    executor.close()
    assert all(map(ended, workers))


def test_a_trial_whose_worker_dies_is_retried_from_its_checkpoint(tmp_path: Path) -> None:
    executor = EXECUTORS["processes"](tmp_path)
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
    assert records[1].setbacks[0].kind == "lost"
    assert any("retry 1 of 2" in line for line in said)
    calm = conduct(tmp_path / "calm", 4, fixed={1: {**fixed[1], "misbehaviour": ""}})
    assert [record.best for record in records] == [record.best for record in calm]
    assert len(results(RunsFolder(tmp_path / "runs").known("curves"))) == 4


def test_a_trial_that_kills_every_worker_fails_as_lost_and_the_study_goes_on(tmp_path: Path) -> None:
    executor = EXECUTORS["processes"](tmp_path)
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
    executor = EXECUTORS["processes"](tmp_path)
    try:
        records = conduct(tmp_path, 3, executor=executor, fixed={1: {"misbehaviour": "kill", "at_epoch": 0}})
    finally:
        executor.close()
    assert [record.status for record in records] == [Status.COMPLETE, Status.FAILED, Status.COMPLETE]
    assert records[1].failure is not None
    assert records[1].failure.kind == "lost"


def test_an_epoch_that_cannot_be_recorded_is_its_trainers_failure(executor: Executor, tmp_path: Path) -> None:
    executor.start(job(tmp_path, misbehaviour="foreign-number"))
    failed = until(executor, Failed, WorkerLost)[-1]
    assert isinstance(failed, Failed)
    assert failed.failure.kind == "crashed"
    assert "Tensor" in failed.failure.message


def test_two_workers_share_the_trials(tmp_path: Path) -> None:
    executor = Processes(devices=["cpu", "cpu"], threads=1, data_folder=tmp_path, logs=tmp_path / "logs")
    try:
        records = conduct(tmp_path, 12, executor=executor)
    finally:
        executor.close()
    assert [record.number for record in records] == list(range(12))
    assert all(record.status.finished for record in records)
    assert len({record.recipe.configuration() for record in records}) == 12


def test_a_stopped_worker_does_not_stop_the_end(tmp_path: Path) -> None:
    executor = EXECUTORS["processes"](tmp_path)
    executor.start(job(tmp_path, seconds=60.0))
    until(executor, Began)
    (worker,) = psutil.Process().children()
    os.kill(worker.pid, signal.SIGSTOP)
    executor.close()
    assert ended(worker)
