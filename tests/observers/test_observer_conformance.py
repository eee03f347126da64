"""What every observer promises, tried on every observer of the package: a new module is found, and fails until it is listed."""

import contextlib
import importlib
import inspect
import io
import math
import pkgutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import observers
from orchestrator.observers.base import Observer
from orchestrator.observers.console import Console
from orchestrator.observers.replay import replay
from orchestrator.observers.subprocess_observer import SubprocessObserver
from orchestrator.record import Kind, Metric, Status
from tests.helpers.observed_runs import curve, ended, running, seen, study_of
from tests.helpers.paths import ROOT
from tests.observers.test_observer_optuna import configuration

METHODS = ("opened", "measured", "closed", "finish")


class SystemClock:
    def now(self) -> float:
        return time.time()


def console(folder: Path) -> Observer:
    return Console(io.StringIO(), total=9, workers=2, metric=Metric(), before=[], clock=SystemClock())


def in_process(factory: str, settings: Callable[[Path], object]) -> Callable[[Path], Observer]:
    return lambda folder: SubprocessObserver(factory, settings(folder), log=folder / "observer.log", copy="the copy")


# How a conductor makes each of them; the name is that of the module.
OBSERVERS: dict[str, Callable[[Path], Observer]] = {
    "console": console,
    "optuna": in_process("orchestrator.observers.optuna:open_copy", configuration),
    "process": in_process("tests.helpers.observed_runs:open_recording", lambda folder: {"file": str(folder / "calls")}),
    "wandb": in_process(
        "orchestrator.observers.wandb:open_mirror", lambda folder: {"study": "part2", "folder": str(folder), "mode": "offline"}
    ),
}


def modules_with_observers() -> set[str]:
    found = set()
    for module in pkgutil.iter_modules(observers.__path__):
        for _, kind in inspect.getmembers(importlib.import_module(f"{observers.__name__}.{module.name}"), inspect.isclass):
            if kind.__module__.endswith(f".{module.name}") and all(hasattr(kind, method) for method in METHODS):
                found.add(module.name)
    return found


def test_every_observer_of_the_package_is_tried_here() -> None:
    assert modules_with_observers() == set(OBSERVERS)


@pytest.fixture(params=OBSERVERS)
def observer(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Observer]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made = OBSERVERS[request.param](tmp_path)
    yield made
    with contextlib.suppress(Exception):
        made.finish(0)


def test_a_study_with_everything_that_can_happen_is_copied_without_a_warning(observer: Observer) -> None:
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


def test_a_study_without_runs_is_copied_without_a_warning(observer: Observer) -> None:
    assert observer.finish(60) is None


def test_what_is_told_twice_is_no_error(observer: Observer) -> None:
    replay(observer, study_of(2))
    replay(observer, study_of(2))
    assert observer.finish(60) is None
