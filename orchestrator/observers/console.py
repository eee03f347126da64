"""One line on the screen, or in a file, for every run that is paused or finished."""

from collections.abc import Callable, Iterable, Sequence
from typing import final

from orchestrator.record import Epoch, Kind, Metric, RunRecord, Status, best_complete
from orchestrator.storage.progress import reached_by, seconds_left
from orchestrator.storage.run_folder import run_name
from orchestrator.support.clock import Clock
from orchestrator.support.durations import format_duration

# Seconds of work to a second of training, at most: the first trial of a session may have had one short epoch to train.
_MOST_PER_SECOND = 10.0


@final
class Console:
    """The Observer that tells the user how a study goes, in lines that read the same on a terminal and in a file.

    [12/40] trial 0011 PRUNED  val_acc .8123  4 of 6 epochs, best after 3  best .9722 (trial 0004)  8.2 s  about 3 min left
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        total: int,
        workers: int,
        metric: Metric,
        before: Iterable[RunRecord],
        clock: Clock,
    ) -> None:
        """`total` is the number of finished trials asked for, `before` are the study's records when this session began.

        `say` shows a line; `clock` tells how long trials take, from which the time left is estimated.
        """
        trials = [record for record in before if record.kind is Kind.TRIAL]
        self._say = say
        self._total = total
        self._workers = workers
        self._metric = metric
        self._clock = clock
        self._finished = {record.run_id for record in trials if record.status.finished}  # as their records say now
        self._leader = best_complete(trials)
        self._since: dict[str, float] = {}  # when work on a run that is open began, in seconds of `elapsed`
        self._trained: dict[str, float] = {}  # seconds of training that it had by then
        seen = [record for record in trials if record.status.finished or record.status is Status.PAUSED]
        self._costs = {record.run_id: record.seconds for record in seen}  # seconds of trials that were paused or finished
        self._timed: set[str] = set()  # of them, those whose whole time was seen, not only that of training
        self._worked = self._of_which_trained = 0.0  # seconds, over all trials of this session

    def opened(self, record: RunRecord, epochs: Sequence[Epoch]) -> None:
        """Begin to measure the time that the run takes; a new attempt continues to measure."""
        if record.status is Status.RUNNING:
            self._finished.discard(record.run_id)  # an earlier session ended it while it was paused, and now it is resumed
        self._since.setdefault(record.run_id, self._clock.elapsed())
        self._trained.setdefault(record.run_id, sum(epoch.seconds for epoch in epochs))

    def measured(self, record: RunRecord, epoch: Epoch) -> None:
        """Say nothing: an epoch is shown with its run."""

    def closed(self, record: RunRecord) -> None:
        """Write the run's line."""
        parts = [f"{record.kind.value} {run_name(record.run_id)} {record.status.value}", *self._worth(record)]
        if record.kind is Kind.TRIAL:
            self._count(record)
            parts[0] = f"[{len(self._finished)}/{self._total}] {parts[0]}"
            parts += [*self._best(), _duration(record), *self._time_left()]
        else:
            parts.append(_duration(record))
        self._say("  ".join(parts))

    def between_runs(self, now: str) -> str:
        """A line for a long time without one: `now` is what is trained at the moment."""
        return "  ".join([f"[{len(self._finished)}/{self._total}] {now}", *self._time_left()])

    def finish(self, timeout: float) -> str | None:  # noqa: ARG002 - nothing is left to do
        """Nothing is left to do."""
        return None

    def _count(self, record: RunRecord) -> None:
        now = self._clock.elapsed()
        worked = now - self._since.pop(record.run_id, now)
        trained = self._trained.pop(record.run_id, record.seconds)
        self._worked += worked
        self._of_which_trained += max(record.seconds - trained, 0.0)
        self._costs[record.run_id] = self._costs.get(record.run_id, trained) + worked
        self._timed.add(record.run_id)
        if record.suspended:  # it has not come to a rung: what it will take is not known
            self._costs.pop(record.run_id)
        if record.status.finished:
            self._finished.add(record.run_id)
        if record.beats(self._leader):
            self._leader = record

    def _worth(self, record: RunRecord) -> list[str]:
        if record.failure is not None:
            return [f"{record.failure.kind.value}: {record.failure.message}"]
        found = []
        if record.best is not None:
            found += [f"{self._metric.name} {_decimal(record.best.value)}", reached_by(record)]
        if record.test is not None:
            found.append(f"test_acc {_decimal(record.test.acc)}")
        return found

    def _best(self) -> list[str]:
        leader = self._leader
        if leader is None or leader.best is None:
            return []
        return [f"best {_decimal(leader.best.value)} (trial {run_name(leader.run_id)})"]

    def _time_left(self) -> list[str]:
        # What earlier sessions recorded is the time of training alone.
        factor = self._worked / self._of_which_trained if self._of_which_trained else 1.0
        factor = min(max(factor, 1.0), _MOST_PER_SECOND)
        costs = [cost if run_id in self._timed else cost * factor for run_id, cost in self._costs.items()]
        seconds = seconds_left(costs, left=self._total - len(costs), at_a_time=self._workers)
        return [f"about {format_duration(max(seconds, 1))} left"] if seconds is not None else []


def _decimal(value: float) -> str:
    """Four decimals; a fraction without the zero before the point."""
    text = f"{value:.4f}"
    return text.removeprefix("0") if text.startswith("0.") else text


def _duration(record: RunRecord) -> str:
    return f"{record.seconds:.1f} s"
