"""Simulated time, and workers that serve recorded epochs in it."""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from orchestrator.jobs import Began, Event, Facts, Failed, Finished, Job, Measured, Paused, Saved, WorkerLost
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch, Failure, FailureKind

_FACTS = Facts(host="simulation", device="simulation", threads=1, versions={}, data_digest="", precision="", validation_images=0)


@final
class SimulatedClock:
    """Implements `contracts.Clock`: stands still until it is set forward."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Seconds since the simulation began."""
        return self._now

    def elapsed(self) -> float:
        """The same."""
        return self._now

    def forward(self, to: float) -> None:
        """Let the time be `to`, which has not passed yet."""
        if to < self._now:
            raise ValueError(f"the clock cannot go back from {self._now} s to {to} s")
        self._now = to


@dataclass(slots=True, kw_only=True)
class _Simulated:
    """A job that a simulated worker has."""

    job: Job
    worker: int
    curve: Sequence[Epoch]
    done: int
    granted: int
    busy: bool = False  # in the middle of an epoch
    pausing: bool = False  # once that epoch is over


@final
class SimulatedExecutor:
    """Implements `contracts.Executor`: `workers` workers, each serving one recorded epoch after the other.

    `curve` gives all that full training of a recipe measured; an epoch takes its recorded seconds. A curve that is shorter than
    its recipe ends in an epoch that diverged: its job fails there, as a real worker's would. Checkpoints cost nothing.
    """

    def __init__(self, *, workers: int, clock: SimulatedClock, curve: Callable[[Recipe], Sequence[Epoch]]) -> None:
        self.epochs_trained = 0  # by all workers together, epochs that diverged included
        self._trained: dict[str, int] = {}  # run_id -> the last epoch that was trained and not lost since
        self._workers = list(range(workers))  # those in service
        self._clock = clock
        self._curve = curve
        self._jobs: dict[str, _Simulated] = {}
        self._checkpoints: dict[str, int] = {}  # run_id -> epochs in it
        self._ends: list[tuple[float, int, _Simulated]] = []  # when epochs under way are over; the number settles ties
        self._counter = 0
        self._pending: deque[Event] = deque()

    @property
    def workers(self) -> int:
        """How many jobs can run at a time."""
        return len(self._workers)

    def start(self, job: Job, avoid: int | None = None) -> int:  # noqa: ARG002 - no simulated worker is ever at fault
        """Hand the job to a free worker. Raises ValueError where there is none."""
        if len(self._jobs) == len(self._workers):
            raise ValueError(f"all {len(self._workers)} workers are busy, and {job.run_id} was started")
        busy = {simulated.worker for simulated in self._jobs.values()}
        worker = next(number for number in self._workers if number not in busy)
        done = self._checkpoints.get(job.run_id, 0) if job.resume else 0
        simulated = _Simulated(job=job, worker=worker, curve=self._curve(job.recipe), done=done, granted=job.until_epoch)
        self._jobs[job.run_id] = simulated
        epochs = tuple(simulated.curve[:done])
        self._pending.append(Began(run_id=job.run_id, attempt=job.attempt, epochs=epochs, facts=_FACTS))
        self._go_on(simulated)
        return worker

    def grant(self, run_id: str, until_epoch: int) -> None:
        """Let the run train up to and including this epoch."""
        simulated = self._jobs[run_id]
        simulated.granted = max(simulated.granted, until_epoch)
        self._go_on(simulated)

    def stop(self, run_id: str, keep: bool = False) -> None:
        """End the run's job; with `keep` an epoch that is under way is trained out and kept first."""
        simulated = self._jobs.get(run_id)
        if simulated is None:
            return
        if not keep:
            del self._jobs[run_id]
        elif simulated.busy:
            simulated.pausing = True
        else:
            self._pause(simulated)

    def replace(self, worker: int) -> None:
        """End what a worker does; what it had since its last checkpoint is lost."""
        for simulated in [simulated for simulated in self._jobs.values() if simulated.worker == worker]:
            job = self._jobs.pop(simulated.job.run_id).job
            message = f"worker {worker} was replaced"
            self._trained[job.run_id] = self._checkpoints.get(job.run_id, 0)
            self._pending.append(WorkerLost(worker=worker, message=message, run_id=job.run_id, attempt=job.attempt))

    def retire(self, worker: int) -> None:
        """As `replace`, with one worker less from then on."""
        self.replace(worker)
        self._workers.remove(worker)

    def events(self, timeout: float) -> Sequence[Event]:  # noqa: ARG002 - simulated time passes at once
        """What has happened; if nothing has, the clock goes forward to the end of the next epoch.

        Raises RuntimeError when nothing can ever happen, because every worker waits for a grant, and when a run trains an epoch
        again that was not lost with its worker.
        """
        while not self._pending:
            if not self._ends:
                waiting = ", ".join(f"{run_id} after epoch {job.done}" for run_id, job in self._jobs.items())
                raise RuntimeError(f"no worker can train: {waiting or 'no job is started'}")
            end, _, simulated = heapq.heappop(self._ends)
            if self._jobs.get(simulated.job.run_id) is simulated:
                self._clock.forward(end)
                self._end_epoch(simulated)
        happened = tuple(self._pending)
        self._pending.clear()
        return happened

    def close(self) -> None:
        """Nothing runs between calls."""

    def _go_on(self, simulated: _Simulated) -> None:
        if not simulated.busy and simulated.done < simulated.granted:
            simulated.busy = True
            end = self._clock.elapsed() + simulated.curve[simulated.done].seconds
            heapq.heappush(self._ends, (end, self._counter, simulated))
            self._counter += 1

    def _end_epoch(self, simulated: _Simulated) -> None:
        job, epoch = simulated.job, simulated.curve[simulated.done]
        simulated.busy = False
        if epoch.number <= self._trained.get(job.run_id, 0):
            raise RuntimeError(f"{job.run_id} trains epoch {epoch.number} a second time")
        self._trained[job.run_id] = epoch.number
        self.epochs_trained += 1
        last = simulated.done + 1 == len(simulated.curve)
        if last and len(simulated.curve) < job.recipe.epochs:
            failure = Failure(kind=FailureKind.DIVERGED, message=f"in epoch {epoch.number} the loss was {epoch.val_loss:g}")
            self._pending.append(Failed(run_id=job.run_id, attempt=job.attempt, failure=failure))
            del self._jobs[job.run_id]
            return
        simulated.done += 1
        self._pending.append(Measured(run_id=job.run_id, attempt=job.attempt, epoch=epoch))
        if last:
            best = job.metric.best(simulated.curve)
            number = best.epoch if best is not None else epoch.number
            self._pending.append(Finished(run_id=job.run_id, attempt=job.attempt, best_epoch=number, best_sha256=""))
            del self._jobs[job.run_id]
        elif simulated.pausing:
            self._pause(simulated)
        else:
            self._go_on(simulated)

    def _pause(self, simulated: _Simulated) -> None:
        job = simulated.job
        self._checkpoints[job.run_id] = simulated.done
        self._pending.append(Saved(run_id=job.run_id, attempt=job.attempt, epoch=simulated.done, sha256=""))
        self._pending.append(Paused(run_id=job.run_id, attempt=job.attempt, epoch=simulated.done))
        del self._jobs[job.run_id]
