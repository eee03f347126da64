"""One line on the screen, or in a file, for every run that is paused or finished."""

from collections.abc import Callable, Iterable, Sequence
from typing import final

from orchestrator.record import Epoch, Kind, Metric, RunRecord, best_complete
from orchestrator.storage.run_folder import run_name
from orchestrator.support.clock import Clock
from orchestrator.support.durations import format_duration


@final
class Console:
    """The Observer that tells the user how a study goes, in lines that read the same on a terminal and in a file.

    [12/40] trial 0011 PRUNED  val_acc .8123 (epoch 3 of 6)  best .9722 (trial 0004)  8.2 s  about 3 min left
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
        finished = [record for record in before if record.kind is Kind.TRIAL and record.status.finished]
        self._say = say
        self._total = total
        self._workers = workers
        self._metric = metric
        self._clock = clock
        self._finished = len(finished)
        self._leader = best_complete(finished)
        self._since: dict[str, float] = {}  # when work on a run that is open began, in seconds of `elapsed`
        self._worked = 0.0  # seconds, over all trials of this session
        self._seen = {record.run_id for record in finished}  # trials that were paused or finished
        self._seen_now = 0  # of them, in this session

    def opened(self, record: RunRecord, epochs: Sequence[Epoch]) -> None:  # noqa: ARG002 - nothing of them is shown
        """Begin to measure the time that the run takes; a new attempt continues to measure."""
        self._since.setdefault(record.run_id, self._clock.elapsed())

    def measured(self, record: RunRecord, epoch: Epoch) -> None:
        """Say nothing: an epoch is shown with its run."""

    def closed(self, record: RunRecord) -> None:
        """Write the run's line."""
        now = self._clock.elapsed()
        worked = now - self._since.pop(record.run_id, now)
        parts = [f"{record.kind.value} {run_name(record.run_id)} {record.status.value}", *self._worth(record)]
        if record.kind is Kind.TRIAL:
            self._worked += worked
            self._count(record)
            parts[0] = f"[{self._finished}/{self._total}] {parts[0]}"
            parts += [*self._best(), _duration(record), *self._time_left()]
        else:
            parts.append(_duration(record))
        self._say("  ".join(parts))

    def between_runs(self, now: str) -> str:
        """A line for a long time without one: `now` is what is trained at the moment."""
        return "  ".join([f"[{self._finished}/{self._total}] {now}", *self._time_left()])

    def finish(self, timeout: float) -> str | None:  # noqa: ARG002 - nothing is left to do
        """Nothing is left to do."""
        return None

    def _count(self, record: RunRecord) -> None:
        self._finished += record.status.finished
        self._seen_now += record.run_id not in self._seen
        self._seen.add(record.run_id)
        if record.beats(self._leader):
            self._leader = record

    def _worth(self, record: RunRecord) -> list[str]:
        if record.failure is not None:
            return [f"{record.failure.kind.value}: {record.failure.message}"]
        found = []
        if record.best is not None:
            epoch = f"(epoch {record.best.epoch} of {record.recipe.epochs})"
            found.append(f"{self._metric.name} {_decimal(record.best.value)} {epoch}")
        if record.test is not None:
            found.append(f"test_acc {_decimal(record.test.acc)}")
        return found

    def _best(self) -> list[str]:
        leader = self._leader
        if leader is None or leader.best is None:
            return []
        return [f"best {_decimal(leader.best.value)} (trial {run_name(leader.run_id)})"]

    def _time_left(self) -> list[str]:
        left = self._total - len(self._seen)
        if left <= 0 or self._worked <= 0 or not self._seen_now:
            return []
        seconds = self._worked / self._seen_now * left / min(self._workers, left)
        return [f"about {format_duration(max(seconds, 1))} left"]


def _decimal(value: float) -> str:
    """Four decimals; a fraction without the zero before the point."""
    text = f"{value:.4f}"
    return text.removeprefix("0") if text.startswith("0.") else text


def _duration(record: RunRecord) -> str:
    return f"{record.seconds:.1f} s"
