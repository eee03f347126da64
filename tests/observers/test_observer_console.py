"""The lines that tell how a study goes."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.observers.console import Console
from orchestrator.record import Kind, Metric, RunRecord, Status
from tests.helpers.observed_runs import curve, ended, running, seen, study_of


@dataclass
class HandClock:
    """Stands still until it is moved."""

    time: float = 1000.0

    def now(self) -> float:
        return 0.0

    def elapsed(self) -> float:
        return self.time


class Screen:
    """A console with what it takes to let runs pass by."""

    def __init__(
        self, *, total: int = 40, workers: int = 1, metric: Metric | None = None, before: list[RunRecord] | None = None
    ) -> None:
        self.clock = HandClock()
        self.lines: list[str] = []
        self.console = Console(
            self.lines.append, total=total, workers=workers, metric=metric or Metric(), before=before or [], clock=self.clock
        )

    def run(self, record: RunRecord, seconds: float) -> str:
        """The line that a run of this length leaves."""
        self.console.opened(replace(record, status=Status.RUNNING), [])
        for epoch in curve(record.epochs):
            self.console.measured(record, epoch)
        self.clock.time += seconds
        self.console.closed(record)
        return self.lines[-1]


def test_a_line_says_what_a_trial_was_worth_the_best_so_far_and_the_time_left() -> None:
    before = [record for record, _ in study_of(9)]  # the best COMPLETE one is trial 6, .36
    screen = Screen(before=[*before, running(9), ended(running(3, Kind.RETRAIN), curve(9))])
    record = ended(running(11), curve(2, start=0.55), Status.PRUNED)
    assert screen.run(record, 8.0) == (
        "[10/40] trial 0011 PRUNED  val_acc .6500 (epoch 2 of 4)  best .3600 (trial 0006)  1.0 s  about 4 min left"
    )
    better = ended(running(12), curve(3, start=0.7))
    assert screen.run(better, 4.0) == (
        "[11/40] trial 0012 COMPLETE  val_acc .9000 (epoch 3 of 4)  best .9000 (trial 0012)  1.5 s  about 3 min left"
    )


def test_a_failure_is_shown_with_its_kind_and_message() -> None:
    line = Screen(total=2).run(ended(running(0), [], Status.FAILED), 3.0)
    assert line == "[1/2] trial 0000 FAILED  crashed: ValueError: broken  0.0 s  about 3 s left"


def test_a_retrain_is_shown_with_its_test_and_not_counted() -> None:
    screen = Screen(total=2)
    retrain = ended(running(7, Kind.RETRAIN), curve(3))
    name = retrain.run_id.rsplit("/", 1)[-1]
    assert screen.run(retrain, 9.0) == f"retrain {name} COMPLETE  val_acc .3000 (epoch 3 of 4)  test_acc .9700  1.5 s"
    assert screen.run(ended(running(0), curve(1)), 2.0).startswith("[1/2] trial 0000")


def test_the_last_trial_leaves_no_time() -> None:
    assert "left" not in Screen(total=1).run(ended(running(0), curve(1)), 2.0)


def test_a_paused_trial_has_a_line_and_is_counted_when_it_is_finished() -> None:
    screen = Screen(total=5)
    paused = screen.run(replace(seen(running(0), curve(1)), status=Status.PAUSED), 10.0)
    assert paused.startswith("[0/5] trial 0000 PAUSED  val_acc ")
    assert screen.run(ended(running(0), curve(3)), 20.0).startswith("[1/5] trial 0000 COMPLETE  val_acc ")


def test_time_left_counts_workers_and_what_a_paused_trial_took_before() -> None:
    screen = Screen(total=5, workers=2)
    record = ended(running(0), curve(3))
    screen.run(replace(seen(running(0), curve(1)), status=Status.PAUSED), 10.0)
    screen.clock.time += 1000.0  # paused
    assert screen.run(record, 20.0).endswith("about 60 s left")  # 30 s a trial, 4 to go, 2 at a time


def test_a_new_attempt_is_part_of_the_time_of_its_trial() -> None:
    screen = Screen(total=2)
    screen.console.opened(running(0), [])
    screen.clock.time += 10.0
    assert screen.run(ended(running(0), curve(1)), 5.0).endswith("about 15 s left")


def test_a_metric_that_is_minimised_names_the_lowest_as_best() -> None:
    metric = Metric(name="val_loss", direction="minimize")
    screen = Screen(metric=metric, total=2)
    first, second = replace(running(0), metric=metric), replace(running(1), metric=metric)
    assert "val_loss 2.5000 (epoch 1 of 4)  best 2.5000 (trial 0000)" in screen.run(ended(first, curve(1)), 1.0)
    assert "val_loss .8333 (epoch 3 of 4)  best .8333 (trial 0001)" in screen.run(ended(second, curve(3)), 1.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (89.0, "89 s"), (95.0, "2 min"), (3600.0, "60 min"), (7500.0, "2 h 05 min")],
)
def test_time_left_has_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert Screen(total=2).run(ended(running(0), curve(1)), seconds).endswith(f"about {text} left")


@given(st.lists(st.sampled_from([Status.COMPLETE, Status.PRUNED, Status.FAILED]), min_size=1, max_size=8), st.integers(0, 8))
def test_the_count_and_the_best_are_those_of_all_sessions(states: list[Status], first: int) -> None:
    records = [ended(running(number), curve(1, start=0.01 * number), state) for number, state in enumerate(states)]
    screen = Screen(total=99, before=records[:first])
    for number, record in enumerate(records[first:], start=first):
        line = screen.run(record, 1.0)
        assert line.startswith(f"[{number + 1}/99] trial {number:04d} {record.status}")
        complete = [n for n, state in enumerate(states[: number + 1]) if state is Status.COMPLETE]
        assert (f"(trial {complete[-1]:04d})" in line) if complete else "best" not in line
