"""Each kind of failure has its rule, and real worker processes keep it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.engine.recovery.watchdog import HANG_TIMEOUTS, Watchdog
from orchestrator.engine.recovery.worker_health import WorkerHealth
from orchestrator.errors import BadData, DiskError, MissingInput, OrchestrateError, Unavailable
from orchestrator.executors.processes import Processes
from orchestrator.record import Failure, FailureKind, Kind, RunRecord, Status
from orchestrator.storage.runs import RunsFolder
from tests.helpers.in_process_study import conduct, results
from tests.helpers.paths import PLUGINS

QUICK = replace(HANG_TIMEOUTS, minimum=3.0, epochs=2.0, startup=60.0, first_epoch=120.0)


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Processes]:
    """One worker process."""
    executor = Processes(devices=["cpu"], threads=1, data_folder=tmp_path, logs=tmp_path / "logs")
    yield executor
    executor.close()


def kinds(record: RunRecord) -> tuple[list[FailureKind], FailureKind | None]:
    """Of what was tried again, and of what ended the run."""
    return [setback.kind for setback in record.setbacks], record.failure.kind if record.failure else None


def recorded(tmp_path: Path) -> list[RunRecord]:
    return RunsFolder(tmp_path / "runs").known("curves").runs(Kind.TRIAL)


@pytest.mark.slow
def test_each_kind_of_failure_is_told_apart_and_has_its_rule(tmp_path: Path, worker: Processes) -> None:
    """In one study: what is tried again is what another attempt can cure, from the checkpoint and with the same numbers."""
    said: list[str] = []
    once: dict[str, Any] = {"at_epoch": 6, "seconds": 0.01}
    fixed: dict[int, dict[str, Any]] = {
        1: {"misbehaviour": "diverge"},
        2: {"misbehaviour": "raise", **once, "marker": str(tmp_path / "raised")},
        3: {"misbehaviour": "raise"},
        4: {"misbehaviour": "raise-differently"},
        5: {"misbehaviour": "hang", **once, "marker": str(tmp_path / "hung")},
        6: {"misbehaviour": "kill", **once, "marker": str(tmp_path / "killed")},
        7: {"misbehaviour": "device", **once, "marker": str(tmp_path / "refused")},
    }
    records = conduct(
        tmp_path, 9, executor=worker, fixed=fixed, say=said.append, checkpoint_share=1.0, timeouts=QUICK, pruner="none"
    )
    crashed, hung, lost = FailureKind.CRASHED, FailureKind.HUNG, FailureKind.LOST
    assert [kinds(record) for record in records] == [
        ([], None),
        ([], FailureKind.DIVERGED),
        ([crashed], None),
        ([crashed], crashed),
        ([crashed, crashed], crashed),
        ([hung], None),
        ([lost], None),
        ([crashed], None),
        ([], None),
    ]
    assert [record.status is Status.FAILED for record in records] == [number in (1, 3, 4) for number in range(9)]
    assert records[3].failure is not None
    assert records[3].failure.message == "RuntimeError: this trainer was told to fail; failed after 2 attempts"
    assert records[5].setbacks[0].message.startswith("worker 0 was killed by signal 9: no progress for ")
    assert any("trials/0005: hung: " in line and "retry 1 of 2" in line for line in said)
    calm = {number: {**words, "misbehaviour": ""} for number, words in fixed.items() if number in (2, 5, 6, 7)}
    alone = conduct(tmp_path / "alone", 9, fixed={**fixed, **calm}, pruner="none")
    assert [record.best for record in records] == [record.best for record in alone]
    assert (
        results(RunsFolder(tmp_path / "runs").known("curves"))[8]
        == results(RunsFolder(tmp_path / "alone" / "runs").known("curves"))[8]
    )


@pytest.mark.slow
def test_a_trial_that_always_hangs_fails_as_hung_and_costs_no_other(tmp_path: Path, worker: Processes) -> None:
    timeouts = replace(QUICK, minimum=2.0, startup=10.0)
    records = conduct(
        tmp_path, 3, executor=worker, fixed={1: {"misbehaviour": "hang", "at_epoch": 3}}, timeouts=timeouts, checkpoint_share=1.0
    )
    assert [record.status for record in records] == [Status.COMPLETE, Status.FAILED, Status.COMPLETE]
    assert kinds(records[1]) == ([FailureKind.HUNG] * 2, FailureKind.HUNG)
    assert records[1].epochs == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("misbehaviour", "error", "code"),
    [("full-disk", DiskError, 74), ("bad-data", BadData, 65), ("missing-data", MissingInput, 66)],
)
def test_what_concerns_every_trial_stops_the_study_and_fails_none(
    tmp_path: Path, worker: Processes, misbehaviour: str, error: type[OrchestrateError], code: int
) -> None:
    fixed = {2: {"misbehaviour": misbehaviour, "at_epoch": 3}}
    with pytest.raises(error, match=r"curves/trials/0002: .*run the same command to resume") as raised:
        conduct(tmp_path, 6, executor=worker, fixed=fixed)
    assert raised.value.exit_code == code
    assert [record.status for record in recorded(tmp_path)] == [Status.COMPLETE, Status.COMPLETE, Status.RUNNING]
    records = conduct(tmp_path, 2)
    assert [record.status for record in recorded(tmp_path)] == [Status.COMPLETE, Status.COMPLETE, Status.PAUSED]
    assert len(records) == 3


def test_a_broken_trainer_stops_the_study_early(tmp_path: Path) -> None:
    fixed = {number: {"misbehaviour": "raise", "at_epoch": 1} for number in range(1, 40)}
    with pytest.raises(
        OrchestrateError,
        match=r"5 runs in a row failed the same way .crashed: RuntimeError: this trainer.*Fix the cause",
    ):
        conduct(tmp_path, 40, fixed=fixed)
    assert [record.status for record in recorded(tmp_path)] == [Status.COMPLETE, *[Status.FAILED] * 5]


@pytest.mark.parametrize(("fits", "reduced"), [(16, 16), (3, 2), (1, 0)])
def test_out_of_memory_halves_the_micro_batch_until_it_fits(tmp_path: Path, fits: int, reduced: int) -> None:
    said: list[str] = []
    fixed = {2: {"misbehaviour": "out-of-memory", "at_epoch": 3, "fits": fits, "batch_size": 64}}
    records = conduct(tmp_path, 4, fixed=fixed, say=said.append, pruner="none")
    short = records[2]
    if reduced:
        assert (short.status, short.micro_batch, short.failure) == (Status.COMPLETE, reduced, None)
        assert short.recipe.params["batch_size"] == 64
        calm = conduct(tmp_path / "calm", 4, fixed={2: {**fixed[2], "misbehaviour": ""}}, pruner="none")
        assert [record.best for record in records] == [record.best for record in calm]
    else:
        assert kinds(short) == ([], FailureKind.OUT_OF_MEMORY)
    assert sum("trials/0002: not enough memory in epoch 3" in line for line in said) == 1


def test_a_loss_that_explodes_without_becoming_infinite_is_divergence(tmp_path: Path) -> None:
    records = conduct(tmp_path, 3, fixed={1: {"misbehaviour": "explode", "at_epoch": 3}}, pruner="none")
    assert [record.status for record in records] == [Status.COMPLETE, Status.FAILED, Status.COMPLETE]
    assert kinds(records[1]) == ([], FailureKind.DIVERGED)
    assert records[1].epochs == 4  # 59 steps are too few to judge
    assert records[1].failure is not None
    assert "exploded: 700 in epoch 4; chance-level loss is ln(10) = 2.3" in records[1].failure.message


@pytest.mark.slow
def test_a_worker_on_which_run_after_run_fails_is_retired(tmp_path: Path) -> None:
    """The study continues with the other worker, and no trial is lost to the bad one."""
    executor = Processes(devices=["cpu", "cpu:1"], threads=1, data_folder=tmp_path, logs=tmp_path / "logs")
    said: list[str] = []
    fixed = {number: {"misbehaviour": "kill-on-second", "seconds": 0.2} for number in range(16)}
    try:
        records = conduct(tmp_path, 16, executor=executor, fixed=fixed, say=said.append, pruner="none")
        assert executor.workers == 1
    finally:
        executor.close()
    assert [record.status for record in records] == [Status.COMPLETE] * 16
    assert [len(record.setbacks) for record in records].count(1) == 3
    assert sum("worker 1 is retired: several runs in a row failed there (lost: worker 1 was killed" in line for line in said) == 1


def test_a_device_that_refuses_every_run_stops_the_study_early(tmp_path: Path) -> None:
    fixed = {number: {"misbehaviour": "device", "at_epoch": 2} for number in range(1, 20)}
    with pytest.raises(Unavailable, match=r"worker 0 is retired.*CUDA error.*No worker is left") as raised:
        conduct(tmp_path, 20, fixed=fixed)
    assert raised.value.exit_code == 69
    assert [record.status for record in recorded(tmp_path)] == [
        Status.COMPLETE,
        Status.FAILED,
        Status.FAILED,
        Status.RUNNING,
    ]


FAILURE = Failure(kind=FailureKind.LOST, message="worker was killed by signal 9")


def test_a_run_that_kills_its_workers_is_no_reason_to_retire_one() -> None:
    health = WorkerHealth()
    health.measured(1)
    assert not any(health.failed(0, "one", FAILURE) for _ in range(5))
    health.succeeded(0)
    assert not health.failed(0, "two", FAILURE)
    assert not health.failed(0, "three", FAILURE)
    assert health.failed(0, "four", FAILURE)


def test_a_worker_stays_while_no_other_gets_on() -> None:
    health = WorkerHealth()
    assert not any(health.failed(worker, f"{run}", FAILURE) for run in range(9) for worker in range(2))
    health.measured(2)
    assert health.failed(0, "ten", FAILURE)


def test_divergence_is_never_the_workers_fault_nor_the_trainers() -> None:
    health, diverged = WorkerHealth(), Failure(kind=FailureKind.DIVERGED, message="train_loss is nan")
    health.measured(1)
    assert not any(health.failed(0, f"{run}", diverged) for run in range(40))
    assert not any(health.repeated(diverged) for _ in range(40))
    assert [bool(health.repeated(FAILURE)) for _ in range(5)] == [False] * 4 + [True]


class SetClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return 0.0

    def elapsed(self) -> float:
        return self.seconds


def watched(watchdog: Watchdog, clock: SetClock, seconds: float) -> list[str]:
    """The runs that are overdue after so many seconds of looking once a second."""
    overdue: list[str] = []
    for _ in range(int(seconds)):
        clock.seconds += 1.0
        overdue = [run_id for run_id, _ in watchdog.overdue()]
    return overdue


def test_a_run_is_given_many_times_its_usual_epoch_and_no_more() -> None:
    clock = SetClock()
    watchdog = Watchdog(clock, HANG_TIMEOUTS)
    watchdog.begin("first")
    assert watched(watchdog, clock, 6 * 3600) == []
    assert watched(watchdog, clock, 1) == ["first"]
    for _ in range(5):
        watchdog.progress("first", 60.0)
    assert watched(watchdog, clock, 20 * 60) == []
    assert watched(watchdog, clock, 1) == ["first"]
    watchdog.end("first")
    watchdog.begin("next")
    assert watched(watchdog, clock, 600 + 20 * 60) == []
    assert watched(watchdog, clock, 1) == ["next"]
    watchdog.progress("next", 0.1)
    assert watched(watchdog, clock, 300) == []
    assert watched(watchdog, clock, 1) == ["next"]


def test_time_in_which_the_conductor_itself_was_stopped_does_not_count() -> None:
    clock = SetClock()
    watchdog = Watchdog(clock, HANG_TIMEOUTS)
    watchdog.begin("run")
    watchdog.progress("run", 0.1)
    clock.seconds += 8 * 3600
    assert watched(watchdog, clock, 280) == []
    clock.seconds -= 3600  # it was set back
    assert watched(watchdog, clock, 5) == []
    assert watched(watchdog, clock, 10) == ["run"]
