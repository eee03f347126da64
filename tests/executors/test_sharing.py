"""How many workers share a GPU: the decisions on simulated GPUs, and real processes that come and go.

There is no GPU here. Its memory is what torch would report; how a GPU shares itself is simulated.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.executors.gpu_sharing import GpuSharing, GrowableExecutor
from orchestrator.executors.processes import Processes
from orchestrator.jobs import Event, Job, Measured, Reduced
from orchestrator.recipe import Recipe
from orchestrator.record import RunRecord, Status
from orchestrator.sessions.resources import Resources, start_workers
from orchestrator.storage.runs import RunsFolder
from orchestrator.support.clock import SystemClock
from orchestrator.support.gpu_memory import GpuMemory
from tests.helpers.in_process_study import conduct
from tests.helpers.paths import PLUGINS
from tests.helpers.simulated_gpus import EVERY_JOB, GIB, SimulatedGpus, busy


@pytest.mark.parametrize("gpus", [1, pytest.param(2, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize(
    ("throughput", "kept"),
    [
        ({1: 1.0, 2: 1.0}, 1),
        ({1: 1.0, 2: 1.1}, 1),
        ({1: 1.0, 2: 0.6}, 1),
        ({1: 1.0, 2: 1.7, 3: 1.8, 4: 1.8}, 2),
        ({1: 1.0, 2: 1.9, 3: 2.5, 4: 3.0, **dict.fromkeys(range(5, 9), 3.1)}, 4),
        ({1: 1.0, 2: 1.9, 3: 2.8, 4: 3.6, 5: 4.3, 6: 5.0, 7: 5.5, 8: 6.0}, 8),
    ],
)
def test_as_many_workers_stay_as_gain_throughput(throughput: Mapping[int, float], kept: int, gpus: int) -> None:
    said: list[str] = []
    machine = SimulatedGpus(throughput, gpus=gpus)
    shared = busy(machine, said, trials=100 * gpus)
    assert shared.workers == kept * gpus
    assert sorted(machine.devices.values()) == sorted([f"cuda:{index}" for index in range(gpus)] * kept)
    assert f"workers per GPU: {kept} for the rest of this session" in said[-1]


def test_what_was_measured_is_said() -> None:
    said: list[str] = []
    busy(SimulatedGpus({1: 1.0, 2: 1.6, 3: 1.6, 4: 1.6}), said)
    tries = "workers per GPU: trying {}; a worker needs 1.1 GB of 107.4 GB"
    assert [said[0], said[2]] == [tries.format(2), tries.format(4)]
    assert re.fullmatch(
        r"workers per GPU: 2; 2 on a GPU train 1\.[56]\d x as fast as 1 \(3 runs timed under both loads\)", said[1]
    )
    assert re.fullmatch(
        r"workers per GPU: 2 for the rest of this session; 4 on a GPU train (0\.9|1\.0)\d x as fast as 2 "
        r"\(3 runs timed under both loads\), less than the required 1\.15 x",
        said[3],
    )
    assert len(said) == 4


def test_without_room_nothing_is_tried() -> None:
    said: list[str] = []
    machine = SimulatedGpus({1: 1.0}, memory=GpuMemory(peak=20 * GIB, available=70 * GIB))
    busy(machine, said, trials=5)
    assert machine.next_slot == 1
    assert said == ["workers per GPU: 1 for the rest of this session; each worker may need 2 x 21.5 GB + 1.1 GB of 75.2 GB"]


def test_trials_too_short_to_be_timed_both_ways_leave_it_at_one() -> None:
    said: list[str] = []
    machine = SimulatedGpus({1: 1.0, 2: 2.0})
    shared = busy(machine, said, rungs=lambda number: [1])
    assert shared.workers == 1
    assert "too few runs could be timed with both 1 and 2 workers" in said[-1]


def promoted(number: int) -> Sequence[int]:
    """As the pruner `promote` has trials of 15 epochs trained."""
    return [2, 2, 5, 6][: 4 if number % 16 == 0 else 3 if number % 8 == 0 else 2 if number % 4 == 0 else 1]


@pytest.mark.parametrize(("two", "kept"), [(1.0, 1), (1.8, 2)])
def test_jobs_of_two_epochs_are_timed_when_they_are_resumed(two: float, kept: int) -> None:
    said: list[str] = []
    machine = SimulatedGpus({1: 1.0, 2: two, 3: two, 4: two})
    shared = busy(machine, said, rungs=promoted, trials=100)
    assert shared.workers == kept
    assert "runs timed under both loads" in said[1]


def test_running_out_of_memory_beside_others_ends_the_sharing() -> None:
    said: list[str] = []
    machine = SimulatedGpus({1: 1.0, 2: 1.9, 3: 1.9, 4: 1.9}, heavy=frozenset({40}))
    shared = busy(machine, said)
    assert said[-1] == "workers per GPU: 1 for the rest of this session; out of memory with 2"
    assert (shared.workers, len(machine.devices)) == (1, 1)


def test_a_worker_that_comes_to_need_more_leaves_room_for_fewer() -> None:
    said: list[str] = []
    machine = SimulatedGpus({1: 1.0, 2: 1.9, 3: 1.9, 4: 1.9})
    shared = busy(machine, said, trials=40)
    assert shared.workers == 2
    machine.memory = GpuMemory(peak=60 * GIB, available=30 * GIB)
    recipe = Recipe(plan="p", trainer="t", dataset="d", epochs=2, seed=0)
    shared.start(Job(run_id="90", attempt=1, recipe=recipe, **EVERY_JOB))
    while machine.jobs:
        shared.events(1.0)
    assert shared.workers == 1
    assert said[-1] == "workers per GPU: 1 for the rest of this session; a worker now needs 64.4 GB of 107.4 GB"


def test_a_slot_that_was_retired_can_be_retired_again() -> None:
    """The dispatch may judge a worker by an event that has already taken it out of service."""
    machine = SimulatedGpus({1: 1.0, 2: 1.0})
    shared = busy(machine, [])
    (gone,) = set(range(machine.next_slot)) - set(machine.devices)
    shared.retire(gone)
    shared.replace(gone)
    assert shared.workers == 1


@pytest.mark.parametrize("load", [1, 2])
def test_a_smaller_micro_batch_counts_as_running_out_of_memory_unless_the_run_was_alone(load: int) -> None:
    said: list[str] = []
    machine = SimulatedGpus({1: 1.0, 2: 1.9, 3: 1.9, 4: 1.9})
    shared = busy(machine, said, trials=40)
    recipe = Recipe(plan="p", trainer="t", dataset="d", epochs=2, seed=0)
    for number in range(90, 90 + load):
        shared.start(Job(run_id=str(number), attempt=1, recipe=recipe, **EVERY_JOB))
    for images in (32, 16):  # the other run is still there when it happens again
        machine.lost.append(Reduced(run_id="90", attempt=1, epoch=1, micro_batch=images))
        shared.events(1.0)
    assert shared.workers == (1 if load == 2 else 2)
    assert ("out of memory with 2" in said[-1]) == (load == 2)


@final
class WithMemory:
    """Worker processes on the CPU that tell of a GPU's memory."""

    def __init__(self, inner: Processes) -> None:
        self._inner = inner

    @property
    def workers(self) -> int:
        return self._inner.workers

    @property
    def devices(self) -> Mapping[int, str]:
        return self._inner.devices

    def add(self, device: str) -> int:
        return self._inner.add(device)

    def start(self, job: Job, avoid: int | None = None) -> int | None:
        return self._inner.start(job, avoid)

    def grant(self, run_id: str, until_epoch: int) -> None:
        self._inner.grant(run_id, until_epoch)

    def stop(self, run_id: str, keep: bool = False) -> None:
        self._inner.stop(run_id, keep)

    def replace(self, worker: int) -> None:
        self._inner.replace(worker)

    def retire(self, worker: int) -> None:
        self._inner.retire(worker)

    def events(self, timeout: float) -> Sequence[Event]:
        return [
            dataclasses.replace(event, memory=GpuMemory(peak=8 * GIB, available=40 * GIB))
            if isinstance(event, Measured)
            else event
            for event in self._inner.events(timeout)
        ]

    def close(self) -> None:
        self._inner.close()


@pytest.mark.slow
@pytest.mark.parametrize("alone", [False, True])
def test_workers_come_and_go_in_mid_study_and_change_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    """Runs that only wait gain twice the speed from a second worker; runs that need all of a device gain nothing."""
    monkeypatch.chdir(PLUGINS)
    trials = 20
    quick: dict[str, Any] = {"seconds": 0.0, "device_file": ""}
    slow = {"seconds": 0.2, "device_file": str(tmp_path / "device") if alone else ""}
    said: list[str] = []
    growable: GrowableExecutor = WithMemory(Processes(devices=["cpu"], threads=1, data_folder=tmp_path, logs=tmp_path / "logs"))
    shared = GpuSharing(growable, clock=SystemClock(), say=said.append)
    options: dict[str, Any] = {"sampler": "random", "pruner": "none"}
    try:
        records = conduct(tmp_path, trials, executor=shared, fixed=dict.fromkeys(range(trials), slow), **options)
        assert (shared.workers, len(growable.devices)) == ((1, 1) if alone else (2, 2)), said
    finally:
        shared.close()
    assert [record.status for record in records] == [Status.COMPLETE] * trials
    assert {record.attempt for record in records} == {1}
    assert said[0] == "workers per GPU: trying 2; a worker needs 8.6 GB of 42.9 GB"
    calm = conduct(tmp_path / "calm", trials, fixed=dict.fromkeys(range(trials), quick), **options)
    assert [found(record) for record in records] == [found(record) for record in calm]


def found(record: RunRecord) -> tuple[Any, ...]:
    """A trial's setting and best epoch, without how long its epochs took."""
    params = {name: value for name, value in record.recipe.params.items() if name not in ("seconds", "device_file")}
    return (record.number, record.recipe.seed, params, record.epochs, record.best)


def test_without_a_gpu_there_is_one_worker_and_it_says_why(tmp_path: Path) -> None:
    folder = RunsFolder(tmp_path).study("s")
    resources = Resources(runs=tmp_path, data_folder=tmp_path, device="cpu", workers_per_device="auto")
    said: list[str] = []
    with start_workers(resources, folder, said.append) as workers:
        assert workers.workers == 1
    assert said == ["workers per device: 1, since only GPUs that worker processes work on can be measured; or give a number"]


def test_on_a_gpu_it_is_measured_unless_there_is_a_single_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    folder = RunsFolder(tmp_path).study("s")
    resources = Resources(runs=tmp_path, data_folder=tmp_path, device="cuda", workers_per_device="auto")
    with start_workers(resources, folder, no_lines) as workers:
        assert isinstance(workers, GpuSharing)
        assert workers.workers == 1
    with start_workers(resources, folder, no_lines, single=True) as workers:
        assert isinstance(workers, Processes)


def no_lines(line: str) -> None:
    raise AssertionError(line)


def test_on_gpus_threads_are_left_for_those_that_may_come(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("orchestrator.executors.devices.cores", lambda: 64)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # which processes of tests beside each other have
    force = Resources(runs=tmp_path, data_folder=tmp_path, device="cuda", workers_per_device="auto").assignment()
    assert (force.devices, force.threads) == (("cuda:0", "cuda:1"), 4)


def test_a_number_of_workers_leaves_nothing_to_decide(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--workers 3 leaves nothing to --workers-per-device auto"):
        Resources(runs=tmp_path, data_folder=tmp_path, workers="3", workers_per_device="auto").assignment()
