"""What every observer promises (`orchestrator.observers.base.Observer`)."""

import math
from dataclasses import replace

import pytest

from orchestrator.observers.base import Observer
from orchestrator.observers.replay import replay
from orchestrator.record import Kind, Status
from orchestrator.testing.observed_runs import curve, ended, running, seen, study_of


class ObserverConformance:
    """Inherit it, and give the observer by the fixture `observer`, as a study would open it."""

    @pytest.fixture
    def observer(self) -> Observer:
        """The observer that is tested, newly opened."""
        pytest.fail(f"{type(self).__name__} must define the fixture `observer`")

    def test_a_study_with_everything_that_can_happen_is_copied_without_a_warning(self, observer: Observer) -> None:
        epochs = curve(4)
        replay(observer, study_of(2))
        first, second, third = running(2), running(3), running(4)
        observer.opened(first, [])
        observer.opened(second, [])
        for epoch in epochs[:2]:
            for record in (first, second):
                observer.measured(seen(record, epochs[: epoch.number]), epoch)
        observer.closed(replace(seen(first, epochs[:2]), status=Status.PAUSED))
        observer.opened(replace(second, attempt=2), epochs[:1])
        observer.measured(seen(second, epochs[:2]), epochs[1])
        observer.closed(ended(second, epochs[:2], Status.FAILED))
        observer.opened(seen(first, epochs[:2]), epochs[:2])
        observer.measured(seen(first, epochs[:3]), epochs[2])
        observer.closed(ended(first, epochs[:3]))
        diverged = replace(epochs[0], train_loss=math.nan, val_loss=math.inf, val_acc=math.nan)
        observer.opened(third, [])
        observer.measured(seen(third, [diverged]), diverged)
        observer.closed(ended(third, [diverged], Status.FAILED))
        for kind in (Kind.CONFIRM, Kind.RETRAIN, Kind.SINGLE):
            observer.opened(running(2, kind), [])
            observer.measured(seen(running(2, kind), epochs[:1]), epochs[0])
            observer.closed(ended(running(2, kind), epochs[:1]))
        observer.opened(running(5), [])  # and never closed: the user pressed Ctrl-C
        assert observer.finish(60) is None

    def test_a_study_without_runs_is_copied_without_a_warning(self, observer: Observer) -> None:
        assert observer.finish(60) is None

    def test_what_is_told_twice_is_no_error(self, observer: Observer) -> None:
        replay(observer, study_of(2))
        replay(observer, study_of(2))
        assert observer.finish(60) is None
