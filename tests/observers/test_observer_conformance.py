"""What every observer promises, tried on every observer of the package: a new module is found, and fails until it is listed."""

import contextlib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator import observers
from orchestrator.observers.base import Observer
from orchestrator.observers.console import Console
from orchestrator.observers.in_training import InTraining
from orchestrator.observers.subprocess_observer import SubprocessObserver
from orchestrator.record import Metric
from orchestrator.support.clock import SystemClock
from orchestrator.testing.observer import ObserverConformance
from tests.helpers.paths import ROOT
from tests.helpers.published_copies import configuration

METHODS = ("opened", "measured", "closed", "finish")
# Of the package: the protocol, and what observers are made of.
NO_OBSERVERS = {"base", "replay", "wire", "database_url", "subprocess_main"}


def console(folder: Path) -> Observer:
    return Console(lambda line: None, total=9, workers=2, metric=Metric(), before=[], clock=SystemClock())


def in_process(factory: str, settings: Callable[[Path], object]) -> Callable[[Path], Observer]:
    return lambda folder: SubprocessObserver(factory, settings(folder), log=folder / "observer.log", copy="the copy")


# How a conductor makes each of them; the name is that of the module.
OBSERVERS: dict[str, Callable[[Path], Observer]] = {
    "console": console,
    "in_training": lambda _: InTraining(SystemClock()),
    "optuna": in_process("orchestrator.observers.optuna:open_copy", configuration),
    "subprocess_observer": in_process(
        "tests.helpers.observed_runs:open_recording", lambda folder: {"file": str(folder / "calls")}
    ),
    "wandb": in_process(
        "orchestrator.observers.wandb:open_mirror", lambda folder: {"study": "part2", "folder": str(folder), "mode": "offline"}
    ),
}


def modules_with_observers() -> set[str]:
    found = set()
    names = {module.name for module in pkgutil.iter_modules(observers.__path__)} - NO_OBSERVERS
    for name in names:
        for _, kind in inspect.getmembers(importlib.import_module(f"{observers.__name__}.{name}"), inspect.isclass):
            if kind.__module__.endswith(f".{name}") and all(hasattr(kind, method) for method in METHODS):
                found.add(name)
    return found


def test_every_observer_of_the_package_is_tried_here() -> None:
    assert modules_with_observers() == set(OBSERVERS)


class TestObservers(ObserverConformance):
    # W&B's process takes seconds for each test.
    @pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow if name == "wandb" else ()) for name in OBSERVERS])
    def observer(self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Observer]:
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        made = OBSERVERS[request.param](tmp_path)
        yield made
        with contextlib.suppress(Exception):
            made.finish(0)
