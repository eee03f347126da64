"""What every scheduler promises (`orchestrator.scheduling.base.Scheduler`)."""

import math
import random
from collections.abc import Sequence

import pytest

from orchestrator.record import Status
from orchestrator.scheduling.base import Curve, Decision, Scheduler


class SchedulerConformance:
    """Inherit it, and give the scheduler by the fixture `scheduler`: for trials of `epochs` epochs."""

    epochs = 16

    @pytest.fixture
    def scheduler(self) -> Scheduler:
        """The scheduler that is tested, newly made."""
        pytest.fail(f"{type(self).__name__} must define the fixture `scheduler`")

    def test_the_next_rung_lies_ahead_and_within_the_training(self, scheduler: Scheduler) -> None:
        for epochs in range(self.epochs):
            assert epochs < scheduler.next_rung(epochs) <= self.epochs

    def test_the_same_curves_give_the_same_decision_in_any_order(self, scheduler: Scheduler) -> None:
        rung = scheduler.next_rung(0)
        curves = _curves(rung)
        shuffled = random.Random(0).sample(curves, len(curves))
        for curve in curves:
            decisions = {scheduler.decide(curve, _without(curve, each)) for each in (curves, curves, shuffled)}
            assert len(decisions) == 1

    def test_only_a_scheduler_that_pauses_says_so(self, scheduler: Scheduler) -> None:
        curves = _curves(scheduler.next_rung(0))
        decisions = {scheduler.decide(curve, _without(curve, curves)) for curve in curves}
        assert Decision.PAUSE not in decisions or scheduler.pauses

    def test_what_is_resumed_was_paused(self, scheduler: Scheduler) -> None:
        paused = _curves(scheduler.next_rung(0))
        names = {curve.run_id for curve in paused}
        for last in (False, True):
            assert scheduler.resume([], paused, last=last) is None
            resumed = scheduler.resume(paused, [], last=last)
            assert resumed is None or resumed in names


def _curves(epochs: int) -> list[Curve]:
    """Twenty trials after so many epochs, one of them without a finite value."""
    found = []
    for number in range(20):
        level = math.nan if number == 7 else 0.3 + 0.02 * number
        values = tuple(level + 0.01 * epoch for epoch in range(epochs))
        found.append(Curve(run_id=f"study/trials/{number:04d}", number=number, status=Status.PAUSED, values=values))
    return found


def _without(curve: Curve, curves: Sequence[Curve]) -> list[Curve]:
    return [other for other in curves if other is not curve]
