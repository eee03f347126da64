"""GPUs in simulated time, and studies that keep them busy."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from orchestrator.executors.gpu_sharing import GpuSharing
from orchestrator.jobs import Began, Event, Facts, Failed, Finished, Job, Measured, WorkerLost
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch, Failure, FailureKind, Metric
from orchestrator.support.gpu_memory import GpuMemory

GIB = 2**30

PLENTY = GpuMemory(peak=1 * GIB, available=100 * GIB)

EVERY_JOB: Mapping[str, Any] = {"metric": Metric(), "until_epoch": 100, "folder": ""}


@final
class SimulatedGpus:
    """GPUs that n jobs use at `throughput[n]` times the speed of one, in simulated seconds; also the clock.

    The epochs of job i take `work(i)` seconds alone, the first twice that; a job loads its data for a second before.
    """

    def __init__(
        self, throughput: Mapping[int, float], *, gpus: int = 1, memory: GpuMemory = PLENTY, heavy: frozenset[int] = frozenset()
    ) -> None:
        self.throughput = throughput
        self.memory = memory
        self.heavy = heavy  # jobs that run out of memory when they are not alone
        self.devices: dict[int, str] = {index: f"cuda:{index}" for index in range(gpus)}
        self.seconds = 0.0
        self.jobs: dict[int, Job] = {}
        self.loading: dict[int, float] = {}
        self.left: dict[int, float] = {}
        self.done: dict[int, int] = {}
        self.next_slot = gpus
        self.lost: list[Event] = []
        self.killed: list[str] = []  # runs whose worker was ended under them

    def now(self) -> float:
        return 0.0

    def elapsed(self) -> float:
        return self.seconds

    @property
    def workers(self) -> int:
        return len(self.devices)

    def add(self, device: str) -> int:
        self.devices[self.next_slot] = device
        self.next_slot += 1
        return self.next_slot - 1

    def start(self, job: Job, avoid: int | None = None) -> int | None:
        free = [index for index in self.devices if index not in self.jobs and index != avoid]
        if not free:
            return None
        index = min(free, key=lambda index: sum(self.devices[other] == self.devices[index] for other in self.jobs))
        self.jobs[index], self.loading[index], self.done[index] = job, 1.0, 0
        return index

    def grant(self, run_id: str, until_epoch: int) -> None:
        raise AssertionError("all epochs were granted at once")

    def stop(self, run_id: str, keep: bool = False) -> None:
        assert not keep
        self._free(next(index for index, job in self.jobs.items() if job.run_id == run_id))

    def replace(self, worker: int) -> None:
        job = self.jobs.get(worker)
        self.retire(worker)
        self.devices[worker] = "cuda:0"
        assert job is not None

    def retire(self, worker: int) -> None:
        del self.devices[worker]
        if worker in self.jobs:
            job = self.jobs[worker]
            self.killed.append(job.run_id)
            self.lost.append(WorkerLost(worker=worker, message="ended", run_id=job.run_id, attempt=job.attempt))
            self._free(worker)
        else:
            self.lost.append(WorkerLost(worker=worker, message="ended"))

    def close(self) -> None:
        self.jobs.clear()

    def events(self, timeout: float) -> Sequence[Event]:
        """Go to the next thing that happens."""
        if self.lost:
            lost, self.lost = self.lost, []
            return lost
        if not self.jobs:
            return []
        steps = {index: self.loading[index] for index in self.loading}
        steps |= {index: self.left[index] / self._rate(index) for index in self.left}
        first = min(steps, key=lambda index: steps[index])
        step = steps[first]
        rates = {index: self._rate(index) for index in self.left}
        self.seconds += step
        for index in self.loading:
            self.loading[index] -= step
        for index, rate in rates.items():
            self.left[index] -= step * rate
        return self._happens(first)

    def _rate(self, index: int) -> float:
        load = self._load(index)
        return self.throughput[load] / load

    def _load(self, index: int) -> int:
        return sum(self.devices[other] == self.devices[index] for other in self.left)

    def _happens(self, index: int) -> list[Event]:
        job = self.jobs[index]
        name = {"run_id": job.run_id, "attempt": job.attempt}
        number = int(job.run_id)
        if index in self.loading:
            del self.loading[index]
            self.left[index] = 2 * work(number)
            facts = Facts(host="h", device="cuda", threads=1, versions={}, data_digest="", precision="", validation_images=0)
            return [Began(**name, epochs=(), facts=facts)]  # type: ignore[arg-type]  # names and numbers, as they should be
        if number in self.heavy and self._load(index) > 1:
            self._free(index)
            failure = Failure(kind=FailureKind.OUT_OF_MEMORY, message="out of memory")
            return [Failed(run_id=job.run_id, attempt=job.attempt, failure=failure)]
        self.done[index] += 1
        self.left[index] = work(number)
        epoch = Epoch(
            number=self.done[index], train_loss=1.0, train_acc=0.5, val_loss=1.0, val_acc=0.5, lr=0.1, seconds=work(number)
        )
        events: list[Event] = [Measured(run_id=job.run_id, attempt=job.attempt, epoch=epoch, memory=self.memory)]
        if self.done[index] == job.recipe.epochs:
            self._free(index)
            events.append(Finished(run_id=job.run_id, attempt=job.attempt, best_epoch=1, best_sha256=""))
        return events

    def _free(self, index: int) -> None:
        del self.jobs[index]
        self.loading.pop(index, None)
        self.left.pop(index, None)


def work(number: int) -> float:
    """Seconds of an epoch: settings differ by far more than a shared device slows them down."""
    return (1.0, 12.0, 3.0, 30.0, 5.0)[number % 5]


def busy(
    gpus: SimulatedGpus, said: list[str], *, trials: int = 60, rungs: Callable[[int], Sequence[int]] = lambda number: [10]
) -> GpuSharing:
    """Have so many trials trained, as many at a time as are asked for; `rungs` gives the epochs of each job of a trial.

    A trial is resumed when four other jobs were begun.
    """
    shared = GpuSharing(gpus, clock=gpus, say=said.append)
    waiting = [(number, 0) for number in range(trials)]
    active = 0
    while waiting or active:
        while active < shared.workers and waiting:
            number, attempt = waiting.pop(0)
            recipe = Recipe(plan="p", trainer="t", dataset="d", epochs=rungs(number)[attempt], seed=0)
            assert shared.start(Job(run_id=str(number), attempt=attempt, recipe=recipe, **EVERY_JOB)) is not None
            active += 1
        happened = shared.events(1.0)
        assert gpus.killed == []
        for event in happened:
            active -= isinstance(event, Finished | Failed)
            if isinstance(event, Finished) and event.attempt + 1 < len(rungs(int(event.run_id))):
                waiting.insert(4, (int(event.run_id), event.attempt + 1))
    return shared
