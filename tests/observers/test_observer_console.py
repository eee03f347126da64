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

    def run(self, record: RunRecord, seconds: float, *, earlier: int = 0) -> str:
        """The line that a run of this length leaves; so many `earlier` of its epochs were trained by another session."""
        self.console.opened(replace(record, status=Status.RUNNING), curve(earlier))
        for epoch in curve(record.epochs)[earlier:]:
            self.console.measured(record, epoch)
        self.clock.time += seconds
        self.console.closed(record)
        return self.lines[-1]


def test_the_time_left_does_not_take_a_suspended_trial_for_a_paid_one() -> None:
    screen = Screen(total=3)
    suspended = replace(ended(running(0), curve(2), Status.PAUSED), suspended=True)
    assert "left" not in screen.run(suspended, 10.0)
    assert screen.run(ended(running(1), curve(4)), 60.0).endswith("about 2 min left")  # two trials, of which one has begun


def test_a_line_says_what_a_trial_was_worth_the_best_so_far_and_the_time_left() -> None:
    before = [record for record, _ in study_of(9)]  # the best COMPLETE one is trial 6, .36
    screen = Screen(before=[*before, running(9), ended(running(3, Kind.RETRAIN), curve(9))])
    record = ended(running(11), curve(2, start=0.55), Status.PRUNED)
    assert screen.run(record, 8.0) == (
        "[10/40] trial 0011 PRUNED  val_acc .6500  2 of 4 epochs  best .3600 (trial 0006)  1.0 s  about 6 min left"
    )
    better = ended(running(12), curve(3, start=0.7))
    assert screen.run(better, 4.0) == (
        "[11/40] trial 0012 COMPLETE  val_acc .9000  3 of 4 epochs  best .9000 (trial 0012)  1.5 s  about 3 min left"
    )


def test_a_failure_is_shown_with_its_kind_and_message() -> None:
    line = Screen(total=2).run(ended(running(0), [], Status.FAILED), 3.0)
    assert line == "[1/2] trial 0000 FAILED  crashed: ValueError: broken  0.0 s  about 3 s left"


def test_a_retrain_is_shown_with_its_test_and_not_counted() -> None:
    screen = Screen(total=2)
    retrain = ended(running(7, Kind.RETRAIN), curve(3))
    name = retrain.run_id.rsplit("/", 1)[-1]
    assert screen.run(retrain, 9.0) == f"retrain {name} COMPLETE  val_acc .3000  3 of 4 epochs  test_acc .9700  1.5 s"
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
    assert "val_loss 2.5000  1 of 4 epochs  best 2.5000 (trial 0000)" in screen.run(ended(first, curve(1)), 1.0)
    assert "val_loss .8333  3 of 4 epochs  best .8333 (trial 0001)" in screen.run(ended(second, curve(3)), 1.0)


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


def test_a_trial_that_was_best_before_its_last_epoch_reads_as_trained_to_its_end() -> None:
    line = Screen(total=2).run(ended(running(0), [*curve(3, start=0.5), *curve(4)[3:]]), 1.0)
    assert "COMPLETE  val_acc .7000  4 of 4 epochs, best after 3  best .7000 (trial 0000)" in line


def test_a_trial_that_an_earlier_session_ended_is_counted_once_when_it_is_resumed() -> None:
    """A study that is extended resumes trials that ended while they were paused."""
    before = [ended(running(number), curve(2), Status.PRUNED) for number in range(3)]
    screen = Screen(total=4, before=before)
    screen.console.opened(replace(before[0], status=Status.RUNNING), curve(2))
    assert screen.run(ended(running(3), curve(4)), 1.0).startswith("[3/4] trial 0003")  # trial 0 is RUNNING again
    assert screen.run(ended(running(0), curve(4)), 1.0).startswith("[4/4] trial 0000")


def test_a_paused_trial_that_the_end_of_the_study_prunes_takes_no_time_and_says_nothing_of_the_others() -> None:
    before = [ended(running(number), curve(4)) for number in range(4)]  # 2 s each
    paused = replace(seen(running(4), curve(2)), status=Status.PAUSED)
    screen = Screen(total=10, before=[*before, paused])
    pruned = replace(paused, status=Status.PRUNED)
    screen.console.opened(pruned, curve(2))
    screen.console.closed(pruned)
    assert screen.lines[-1].endswith("about 9 s left")  # 5 of 1.8 s


def test_a_trial_that_lacked_one_epoch_says_nothing_of_whole_ones() -> None:
    screen = Screen(total=3, before=[running(0)])
    assert screen.run(ended(running(0), curve(4)), 0.5, earlier=3).endswith("about 4 s left")  # 2 trials of 2 s


def test_what_a_trial_takes_beside_its_training_counts_also_for_those_of_earlier_sessions() -> None:
    before = [ended(running(number), curve(4)) for number in range(4)]  # 2 s of training each
    assert Screen(total=10, before=before).run(ended(running(4), curve(4)), 3.0).endswith("about 15 s left")  # 5 of 3 s
