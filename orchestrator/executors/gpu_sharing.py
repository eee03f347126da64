"""Lets several workers share each GPU when measured memory and speed say so, while the study runs.

The study begins with one worker per GPU. When the memory of a few trials is known and there is room, twice as many are started
and tried: runs continue under the lower and the higher load in turn, and each is timed under both. Workers that bring too
little leave at the end of their jobs. Which workers there are decides nothing about a trial: its seed is its own.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, final

from orchestrator.executors.base import Executor
from orchestrator.executors.gpu_capacity import (
    CONTEXT_BYTES,
    MARGIN,
    MOST_WORKERS,
    PAIRS,
    SMALLEST_GAIN,
    TRIALS_BEFORE_SHARING,
    Timed,
    gain,
    room,
)
from orchestrator.jobs import Began, Event, Failed, Finished, Job, Measured, Paused, Reduced, WorkerLost
from orchestrator.record import FailureKind
from orchestrator.support.clock import Clock
from orchestrator.support.gpu_memory import GpuMemory

# Jobs of each worker that may end while more are tried: their runs have too few epochs to be timed under both loads.
_JOBS_TO_TRY = 12
# Relative: how far the mean load of an epoch may be from a number of workers. Between two jobs a worker loads and builds.
_TOLERANCE = 0.05


class GrowableExecutor(Executor, Protocol):
    """An executor that can start more workers."""

    @property
    def devices(self) -> Mapping[int, str]:
        """The slots in service, by their numbers, and the device of each."""

    def add(self, device: str) -> int:
        """Start one more worker, on this device, and return its slot's number."""


@final
class _DeviceLoad:
    """How many runs train on a device, over time."""

    def __init__(self, now: float) -> None:
        self._count = 0
        self._since = now
        self._sum = 0.0

    def change(self, by: int, now: float) -> None:
        """So many more runs train from now on."""
        self._sum, self._since = self.until(now), now
        self._count += by

    def until(self, now: float) -> float:
        """Seconds of training until now, summed over the runs."""
        return self._sum + self._count * (now - self._since)


@dataclass(slots=True, kw_only=True, eq=False)
class _Run:
    """A run that has a job: where, and how long its epochs took, also those of its earlier jobs, by load."""

    attempt: int
    worker: int
    device: str
    seconds: dict[int, list[float]]  # workers on its device -> epochs
    trains: bool = False
    # When its epoch began, and the device's sum then; None until the first one of the job, which also warms up, is over.
    mark: tuple[float, float] | None = None


@final
class GpuSharing:
    """An Executor that adds workers to another one's, or takes them back. `say` gets its decisions, with their reasons."""

    def __init__(self, inner: GrowableExecutor, *, clock: Clock, say: Callable[[str], None]) -> None:
        self._inner = inner
        self._clock = clock
        self._say = say
        self._kept = 1  # workers per device whose gain was large enough
        self._tried = 1  # workers per device that exist now
        self._settled = False
        self._runs: dict[str, _Run] = {}
        self._leaving: set[int] = set()
        self._loads = {device: _DeviceLoad(clock.elapsed()) for device in self._devices()}
        self._measured: set[str] = set()  # runs whose memory is known
        self._peak = 0
        self._available: dict[str, int] = {}  # by device, as seen by a worker that was alone there
        self._seconds: dict[str, dict[int, list[float]]] = {}  # of runs: as in _Run
        self._timed: dict[str, Timed] = {}  # runs
        self._ended = 0  # jobs, since more workers are tried

    @property
    def workers(self) -> int:
        """How many jobs can run at a time; fewer than there are workers while fewer are to be timed."""
        return min(self._inner.workers, self._asked() * len(self._devices()))

    def start(self, job: Job, avoid: int | None = None) -> int | None:
        """Hand the job on."""
        worker = self._inner.start(job, avoid)
        if worker is not None:
            self._end(job.run_id)
            seconds = self._seconds.setdefault(job.run_id, defaultdict(list))
            device = self._inner.devices[worker]
            self._runs[job.run_id] = _Run(attempt=job.attempt, worker=worker, device=device, seconds=seconds)
        return worker

    def grant(self, run_id: str, until_epoch: int) -> None:
        """Let the run train up to and including this epoch."""
        self._inner.grant(run_id, until_epoch)

    def stop(self, run_id: str, keep: bool = False) -> None:
        """End the run's job."""
        self._inner.stop(run_id, keep)
        if not keep:
            self._end(run_id)

    def replace(self, worker: int) -> None:
        """End the worker in this slot and refill it, unless the slot was retired meanwhile."""
        if worker in self._inner.devices:
            self._inner.replace(worker)

    def retire(self, worker: int) -> None:
        """Take the slot out of service, unless it is already."""
        if worker in self._inner.devices:
            self._inner.retire(worker)

    def events(self, timeout: float) -> Sequence[Event]:
        """What has happened; what follows from it for the number of workers is done."""
        happened = self._inner.events(timeout)
        for event in happened:
            self._note(event)
        if not self._settled:
            self._consider()
        return happened

    def close(self) -> None:
        """End all workers at once."""
        self._inner.close()

    # ------------------------------------------------------------------------------------------------------ measuring

    def _note(self, event: Event) -> None:
        run = self._runs.get(event.run_id)
        if run is None or event.attempt != run.attempt:
            return
        match event:
            case Began():
                run.trains = True
                self._loads[run.device].change(+1, self._clock.elapsed())
            case Measured():
                if not self._settled:
                    self._time(run)
                if event.memory is not None:
                    self._weigh(event.run_id, run, event.memory)
            case Reduced():
                self._out_of_memory(run)
            case Failed():
                if event.failure.kind is FailureKind.OUT_OF_MEMORY:
                    self._out_of_memory(run)
                self._end(event.run_id)
            case Paused() | Finished() | WorkerLost():
                self._end(event.run_id)

    def _time(self, run: _Run) -> None:
        """Count the epoch if nearly all of it had the load of one of the numbers that are compared."""
        now = self._clock.elapsed()
        trained = self._loads[run.device].until(now)
        if run.mark is not None and now > run.mark[0]:
            seconds = now - run.mark[0]
            load = (trained - run.mark[1]) / seconds
            for count in {self._kept, self._tried}:
                if abs(load - count) <= _TOLERANCE * count:
                    run.seconds[count].append(seconds)
        run.mark = (now, trained)

    def _weigh(self, run_id: str, run: _Run, memory: GpuMemory) -> None:
        self._measured.add(run_id)
        self._peak = max(self._peak, memory.peak)
        if self._tried == 1:
            self._available[run.device] = min(memory.available, self._available.get(run.device, memory.available))
        elif (fits := room(self._peak, min(self._available.values()))) < self._tried:
            self._settle(fits, f"a worker now needs {_gigabytes(self._peak)} of {_gigabytes(min(self._available.values()))}")

    def _end(self, run_id: str) -> None:
        run = self._runs.pop(run_id, None)
        if run is None:
            return
        if run.trains:
            self._loads[run.device].change(-1, self._clock.elapsed())
        self._ended += 1
        if run.seconds.get(self._kept) and run.seconds.get(self._tried) and self._tried > self._kept:
            fewer, more = (statistics.median(run.seconds[load]) for load in (self._kept, self._tried))
            self._timed[run_id] = Timed(fewer=fewer, more=more)
        if run.worker in self._leaving:
            self._leaving.discard(run.worker)
            self.retire(run.worker)

    # ------------------------------------------------------------------------------------------------------- deciding

    def _devices(self) -> set[str]:
        return set(self._inner.devices.values())

    def _asked(self) -> int:
        """Jobs per device now. While more workers are tried, as many as let the running ones be timed under both loads."""
        if self._settled or self._tried == self._kept:
            return self._tried
        runs = self._runs.values()
        if any(run.seconds.get(self._tried) and not run.seconds.get(self._kept) for run in runs):
            return self._kept
        return self._tried if any(run.seconds.get(self._kept) for run in runs) else self._kept

    def _consider(self) -> None:
        if self._tried > self._kept:
            if len(self._timed) >= PAIRS:
                self._judge()
            elif self._ended >= _JOBS_TO_TRY * self._inner.workers:
                self._settle(self._kept, f"too few runs could be timed with both {self._kept} and {self._tried} workers")
        elif len(self._measured) >= TRIALS_BEFORE_SHARING and self._devices() <= self._available.keys():
            self._try_more()

    def _try_more(self) -> None:
        """Start as many workers again, if the memory allows."""
        if self._kept == MOST_WORKERS:
            self._settle(self._kept, "this is the maximum")
            return
        available = min(self._available.values())
        if room(self._peak, available) <= self._kept:
            needs = f"{MARGIN} x {_gigabytes(self._peak)} + {_gigabytes(CONTEXT_BYTES)}"
            self._settle(self._kept, f"each worker may need {needs} of {_gigabytes(available)}")
            return
        self._tried, self._timed, self._ended = 2 * self._kept, {}, 0
        for device in sorted(self._devices()) * (self._tried - self._kept):
            self._inner.add(device)
        self._say(f"workers per GPU: trying {self._tried}; a worker needs {_gigabytes(self._peak)} of {_gigabytes(available)}")

    def _judge(self) -> None:
        measured = gain(self._kept, self._tried, list(self._timed.values()))
        timed = f"{len(self._timed)} runs timed under both loads"
        found = f"{self._tried} on a GPU train {measured:.2f} x as fast as {self._kept} ({timed})"
        if measured < SMALLEST_GAIN:
            self._settle(self._kept, f"{found}, less than the required {SMALLEST_GAIN:.2f} x")
            return
        self._kept = self._tried
        self._say(f"workers per GPU: {self._kept}; {found}")
        self._try_more()

    def _out_of_memory(self, run: _Run) -> None:
        """Halve the load of a device on which a run ran out of memory beside others."""
        if self._tried > 1 and sum(other.device == run.device for other in self._runs.values()) > 1:
            self._settle(self._tried // 2, f"out of memory with {self._tried}")

    def _settle(self, count: int, why: str) -> None:
        """Stay with so many workers per device: the others leave when they have ended their jobs."""
        self._settled = True
        self._seconds.clear()
        self._kept = self._tried = count
        self._say(f"workers per GPU: {count} for the rest of this session; {why}")
        staying: Counter[str] = Counter()
        busy = {run.worker for run in self._runs.values()}
        for worker, device in sorted(self._inner.devices.items()):
            staying[device] += 1
            if staying[device] > count and worker not in busy:
                self.retire(worker)
            elif staying[device] > count:
                self._leaving.add(worker)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
