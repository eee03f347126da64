"""Copies of a study in a database that is a file, and stock Optuna reading them."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, distribution_to_json
from optuna.trial import FrozenTrial

from orchestrator.observers.optuna import PublishedStudy
from orchestrator.observers.subprocess_observer import SubprocessObserver
from orchestrator.record import Epoch, RunRecord
from tests.helpers.observed_runs import UUID, running, seen

SPACE = {"learning_rate": FloatDistribution(1e-4, 1.0, log=True), "batch_size": CategoricalDistribution([32, 64, 128])}

Copier = Callable[..., PublishedStudy]


def configuration(folder: Path, /, **changes: Any) -> dict[str, Any]:
    return {
        "url": f"sqlite:///{folder}/optuna.db",
        "study": "part2",
        "uuid": UUID,
        "direction": "maximize",
        "distributions": {name: distribution_to_json(distribution) for name, distribution in SPACE.items()},
        **changes,
    }


@contextlib.contextmanager
def stock(folder: Path, name: str = "part2") -> Iterator[optuna.Study]:
    """The study as `optuna.load_study` gives it to a colleague."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/optuna.db")
    try:
        yield optuna.load_study(study_name=name, storage=storage)
    finally:
        storage.engine.dispose()


def trials(folder: Path) -> list[FrozenTrial]:
    with stock(folder) as study:
        return study.trials


def comparable(trial: FrozenTrial) -> tuple[Any, ...]:
    """All of a trial but the ids of the database and the times that it sets itself."""
    return (
        trial.number,
        trial.state,
        trial.values,
        trial.params,
        trial.distributions,
        trial.intermediate_values,
        trial.user_attrs,
        trial.datetime_start,
    )


def in_process(folder: Path, **changes: Any) -> SubprocessObserver:
    return SubprocessObserver(
        "orchestrator.observers.optuna:open_copy",
        configuration(folder, **changes),
        log=folder / "logs" / "optuna.log",
        copy="the published copy of part2",
    )


def calls_of(runs: list[tuple[RunRecord, list[Epoch]]]) -> list[Callable[[PublishedStudy], None]]:
    """What a session tells of a study, as calls that may be cut off anywhere."""
    calls: list[Callable[[PublishedStudy], None]] = []
    for record, epochs in runs:
        first = running(record.number)
        calls.append(partial(PublishedStudy.opened, record=first, epochs=[]))
        for index, epoch in enumerate(epochs):
            calls.append(partial(PublishedStudy.measured, record=seen(first, epochs[: index + 1]), epoch=epoch))
        calls.append(partial(PublishedStudy.closed, record=record))
    return calls
