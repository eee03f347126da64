"""A worker that is stopped past its deadline was replaced: what it still says and does when it continues changes nothing."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from orchestrator.engine.recovery.watchdog import HANG_TIMEOUTS
from orchestrator.executors.processes import Processes
from orchestrator.jobs import Began, Event, Failed, Finished, Job, Measured, WorkerLost
from orchestrator.record import FailureKind, Kind, Status
from orchestrator.storage.runs import RunsFolder
from tests.helpers.in_process_study import conduct, results
from tests.helpers.paths import PLUGINS
from tests.helpers.subprocess_cli import ended, workers_of

pytestmark = pytest.mark.slow

TIMEOUTS = replace(HANG_TIMEOUTS, minimum=3.0, epochs=2.0, startup=60.0, first_epoch=120.0)
BUSY = {"told_seconds": 1.0, "seconds": 0.1}  # a checkpoint after each epoch, and time to be stopped before the eighth
TRIALS = 3


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


class OutOfReach:
    """One worker at a time, which is stopped once in each run, and cannot be killed: as on a node that is cut off.

    It continues once the one that replaced it is at work on the same run; all that it says still arrives.
    """

    workers = 1

    def __init__(self, start_processes: Callable[[], Processes]) -> None:
        self._start_processes = start_processes
        self._current = start_processes()
        self._left: list[Processes] = []
        self._stopped: list[int] = []
        self._pending: list[Event] = []
        self._random = random.Random(1)
        self._known = set[int]()
        self._process = self._new_process()
        self.late: list[Event] = []

    def start(self, job: Job, avoid: int | None = None) -> int | None:
        self._job = job
        self._to_be_stopped = job.attempt == 1
        return self._current.start(job)

    def grant(self, run_id: str, until_epoch: int) -> None:
        self._current.grant(run_id, until_epoch)

    def stop(self, run_id: str, keep: bool = False) -> None:
        self._current.stop(run_id, keep)

    def replace(self, worker: int) -> None:
        message = f"worker {worker} cannot be reached"
        self._pending.append(WorkerLost(worker=worker, message=message, run_id=self._job.run_id, attempt=self._job.attempt))
        self._left.append(self._current)
        self._stopped.append(self._process)
        self._current = self._start_processes()
        self._process = self._new_process()

    def retire(self, worker: int) -> None:
        raise AssertionError("nothing here fails again and again")

    def events(self, timeout: float) -> Sequence[Event]:
        happened, self._pending = self._pending, []
        happened += self._current.events(0.05)
        self._act(happened)
        for executor in self._left:
            late = executor.events(0.0)
            self.late += late
            happened += late
        return happened

    def _act(self, happened: Sequence[Event]) -> None:
        if any(isinstance(event, Began) and event.attempt > 1 for event in happened):
            while self._stopped:
                os.kill(self._stopped.pop(), signal.SIGCONT)
        if self._to_be_stopped and any(isinstance(event, Measured) for event in happened):
            self._to_be_stopped = False
            self._await_the_moment()
            os.kill(self._process, signal.SIGSTOP)

    def _await_the_moment(self) -> None:
        """In every run but the third: a checkpoint is being written. In that one: any moment."""
        if self._job.run_id.endswith("2"):
            time.sleep(self._random.uniform(0.0, 0.2))
            return
        part = Path(self._job.folder) / "attempt-1" / "last.pt.part"
        deadline = time.monotonic() + 0.4
        while not part.exists() and time.monotonic() < deadline:
            pass

    def _new_process(self) -> int:
        (new,) = {worker.pid for worker in workers_of(os.getpid())} - self._known
        self._known.add(new)
        return new

    def close(self) -> None:
        for executor in (self._current, *self._left):
            executor.close()


@pytest.fixture
def out_of_reach(tmp_path: Path) -> Iterator[OutOfReach]:
    def start_processes() -> Processes:
        return Processes(devices=["cpu"], threads=1, data_folder=tmp_path, logs=tmp_path / "logs")

    executor = OutOfReach(start_processes)
    yield executor
    executor.close()


def test_a_worker_that_was_given_up_writes_nothing_and_is_not_heard(tmp_path: Path, out_of_reach: OutOfReach) -> None:
    fixed = dict.fromkeys(range(TRIALS), BUSY)
    records = conduct(
        tmp_path, TRIALS, executor=out_of_reach, fixed=fixed, timeouts=TIMEOUTS, checkpoint_share=1.0, pruner="none"
    )
    folder = RunsFolder(tmp_path / "runs").known("curves")
    assert [record.status for record in records] == [Status.COMPLETE] * TRIALS
    hung = [record for record in records if [setback.kind for setback in record.setbacks] == [FailureKind.HUNG]]
    assert len(hung) >= TRIALS - 1  # a short run may have ended before the signal came
    deadline = time.monotonic() + 60.0
    while sum(isinstance(event, Failed | Finished) for event in out_of_reach.late) < len(hung):
        assert time.monotonic() < deadline, f"late workers went on, but said only {out_of_reach.late}"
        out_of_reach.events(0.1)
    refused = [event for event in out_of_reach.late if isinstance(event, Failed)]
    assert refused
    assert all("attempt-1" in event.failure.message for event in refused)
    conduct(tmp_path / "calm", TRIALS, fixed=fixed, checkpoint_share=1.0, pruner="none")
    assert results(folder) == results(RunsFolder(tmp_path / "calm" / "runs").known("curves"))
    for record in folder.runs(Kind.TRIAL):
        names = {file.name for file in folder.folder(record).path.iterdir()}
        assert names <= {"record.json", "epochs.jsonl", "best.pt"}
        assert [epoch.number for epoch in folder.folder(record).epochs()] == list(range(1, 9))


def test_a_stopped_worker_of_this_machine_is_killed_and_replaced(tmp_path: Path) -> None:
    executor = Processes(devices=["cpu"], threads=1, data_folder=tmp_path, logs=tmp_path / "logs")
    (worker,) = workers_of(os.getpid())
    said: list[str] = []

    class Stopping:
        """An observer, only to know when the third epoch of the second trial was recorded."""

        def opened(self, record: object, epochs: object) -> None: ...

        def measured(self, record: object, epoch: object) -> None:
            if getattr(record, "number") == 1 and getattr(epoch, "number") == 3:  # noqa: B009
                with contextlib.suppress(ProcessLookupError):  # killed by now, and its epoch trained again
                    os.kill(worker.pid, signal.SIGSTOP)

        def closed(self, record: object) -> None: ...

        def finish(self, timeout: float) -> None: ...

    fixed = {number: {"seconds": 0.05} for number in range(3)}
    try:
        records = conduct(
            tmp_path, 3, executor=executor, observers=[Stopping()], fixed=fixed, timeouts=TIMEOUTS, say=said.append, pruner="none"
        )
    finally:
        executor.close()
    assert ended(worker)
    with pytest.raises(psutil.NoSuchProcess):
        psutil.Process(worker.pid).resume()
    assert [len(record.setbacks) for record in records] == [0, 1, 0]
    assert any("curves/trials/0001: hung: worker 0 was killed by signal 9: no progress for" in line for line in said)
    conduct(tmp_path / "calm", 3, fixed=fixed, pruner="none")
    assert results(RunsFolder(tmp_path / "runs").known("curves")) == results(
        RunsFolder(tmp_path / "calm" / "runs").known("curves")
    )
