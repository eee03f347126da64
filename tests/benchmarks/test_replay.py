"""The replay of recorded curves is the product with another clock, other workers and another disk, and nothing else."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.replay.memory import MemoryStudy
from benchmarks.replay.simulation import SimulatedClock, SimulatedExecutor
from orchestrator import plugins
from orchestrator.contracts import Diverged
from orchestrator.engine.active_run import Assignment
from orchestrator.engine.dispatch import Dispatch
from orchestrator.executors.base import Executor
from orchestrator.executors.in_process import InProcess
from orchestrator.hyperparameters import complete
from orchestrator.jobs import Began, Event, Failed, Finished, Job, Measured, Paused, Saved
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch, Kind, Metric, Provenance, RunRecord, Status
from orchestrator.scheduling.optuna_pruners import PRUNERS
from orchestrator.storage.run_folder import RunFolder
from tests.helpers.in_process_study import conduct, conductor_of, opened, without_time
from tests.helpers.paths import PLUGINS


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


def full_training(recipe: Recipe) -> list[Epoch]:
    """All that the trainer `curve` measures; a run that diverges ends with an epoch whose loss is NaN."""
    data: Any = None  # this trainer has no use for any
    training = plugins.trainer(recipe.trainer).begin(recipe, data, "cpu")
    curve: list[Epoch] = []
    try:
        while len(curve) < recipe.epochs:
            curve.append(training.epoch())
    except Diverged:
        curve.append(replace(curve[-1], number=len(curve) + 1, val_loss=math.nan))
    return curve


def simulated(workers: int = 1) -> SimulatedExecutor:
    return SimulatedExecutor(workers=workers, clock=SimulatedClock(), curve=full_training)


def job(folder: Path, *, until: int = 4, number: int = 0, attempt: int = 1, **params: Any) -> Job:
    recipe = Recipe(
        plan="p",
        trainer="curve",
        dataset="digits",
        epochs=4,
        seed=5,
        params=complete(plugins.trainer("curve").hyperparameters, params),
    )
    path = folder / f"{number}"
    path.mkdir(exist_ok=True, parents=True)
    RunFolder(path).begin_attempt(attempt)
    return Job(
        run_id=f"s/trials/{number:04d}",
        attempt=attempt,
        recipe=recipe,
        metric=Metric(),
        until_epoch=until,
        folder=str(path),
        checkpoint_share=0.0,
    )


def told(events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """What events say, without what belongs to a machine."""
    found: list[tuple[Any, ...]] = []
    for event in events:
        match event:
            case Began():
                found.append((Began, event.run_id, event.attempt, [without_time(epoch) for epoch in event.epochs]))
            case Measured():
                found.append((Measured, event.run_id, event.attempt, without_time(event.epoch)))
            case Saved() | Paused():
                found.append((type(event), event.run_id, event.attempt, event.epoch))
            case Finished():
                found.append((Finished, event.run_id, event.attempt, event.best_epoch))
            case Failed():
                found.append((Failed, event.run_id, event.attempt, event.failure.kind))
    return found


def until(executor: Executor, *last: tuple[type, int]) -> list[Event]:
    """Everything that happens until each of these kinds of events came as often as said."""
    happened: list[Event] = []
    for _ in range(50):
        happened += executor.events(1.0)
        if all(sum(isinstance(event, kind) for event in happened) >= count for kind, count in last):
            return happened
    raise AssertionError(f"{last} did not happen, but {happened}")


def trained_out(executor: Executor, folder: Path) -> list[Event]:
    executor.start(job(folder))
    return until(executor, (Finished, 1))


def granted_in_steps(executor: Executor, folder: Path) -> list[Event]:
    executor.start(job(folder, until=1))
    happened = until(executor, (Measured, 1))
    for epoch in (2, 4):
        executor.grant("s/trials/0000", epoch)
        happened += until(executor, (Measured, 1 if epoch == 2 else 2))
    return happened


def stopped_for_another(executor: Executor, folder: Path) -> list[Event]:
    executor.start(job(folder, until=2))
    happened = until(executor, (Measured, 2))
    executor.stop("s/trials/0000")
    executor.start(job(folder, number=1))
    return happened + until(executor, (Finished, 1))


def paused_and_resumed(executor: Executor, folder: Path) -> list[Event]:
    executor.start(job(folder, until=2))
    happened = until(executor, (Measured, 2))
    executor.stop("s/trials/0000", keep=True)
    happened += until(executor, (Paused, 1))
    executor.start(job(folder, number=1))
    happened += until(executor, (Finished, 1))
    executor.start(replace(job(folder, attempt=2), resume=True))
    return happened + until(executor, (Finished, 1))


def diverged(executor: Executor, folder: Path) -> list[Event]:
    executor.start(job(folder, misbehaviour="diverge", at_epoch=3))
    happened = until(executor, (Failed, 1))
    executor.start(job(folder, number=1))
    return happened + until(executor, (Finished, 1))


@pytest.mark.parametrize("story", [trained_out, granted_in_steps, stopped_for_another, paused_and_resumed, diverged])
def test_simulated_workers_tell_what_real_ones_tell(story: Any, tmp_path: Path) -> None:
    real = InProcess(device="cpu", threads=1, data_folder=tmp_path)
    expected = told(story(real, tmp_path / "real"))
    assert told(story(simulated(), tmp_path / "simulated")) == expected
    assert len(expected) >= 5


def test_an_epoch_that_is_under_way_is_kept_by_a_pause(tmp_path: Path) -> None:
    executor = simulated()
    executor.start(job(tmp_path))
    until(executor, (Measured, 1))
    executor.stop("s/trials/0000", keep=True)
    assert [type(event) for event in executor.events(1.0)] == [Measured, Saved, Paused]
    executor.start(replace(job(tmp_path, attempt=2), resume=True))
    until(executor, (Finished, 1))
    assert executor.epochs_trained == 4


def test_a_run_that_trains_an_epoch_again_is_found_out(tmp_path: Path) -> None:
    executor = simulated()
    executor.start(job(tmp_path, until=2))
    until(executor, (Measured, 2))
    executor.stop("s/trials/0000")
    executor.start(replace(job(tmp_path, attempt=2), resume=True))
    with pytest.raises(RuntimeError, match="epoch 1 a second time"):
        until(executor, (Finished, 1))


def test_workers_without_a_grant_are_an_error_and_no_endless_wait(tmp_path: Path) -> None:
    executor = simulated()
    executor.start(job(tmp_path, until=2))
    until(executor, (Measured, 2))
    with pytest.raises(RuntimeError, match="0000 after epoch 2"):
        executor.events(1.0)
    with pytest.raises(ValueError, match="busy"):
        executor.start(job(tmp_path, number=1))


def test_simulated_workers_work_at_the_same_time(tmp_path: Path) -> None:
    clock = SimulatedClock()
    executor = SimulatedExecutor(workers=3, clock=clock, curve=full_training)
    for number in range(3):
        executor.start(job(tmp_path, number=number))
    until(executor, (Finished, 3))
    assert clock.elapsed() == 4 * 0.25  # seconds: the trainer says a quarter of one for each epoch


def test_dispatch_pauses_and_resumes_without_training_an_epoch_twice(tmp_path: Path) -> None:
    folder, executor = MemoryStudy(), simulated()
    dispatch = Dispatch(archive=folder, executor=executor, observers=[], clock=SimulatedClock())
    record = RunRecord(
        run_id=folder.run_id(Kind.TRIAL, "0000"),
        kind=Kind.TRIAL,
        number=0,
        recipe=job(tmp_path).recipe,
        provenance=Provenance(study="u"),
    )
    dispatch.start(record, Assignment(until_epoch=2))
    updates = [update for _ in range(3) for update in dispatch.wait(1.0)]
    dispatch.pause(record.run_id)
    updates += dispatch.wait(1.0)
    paused = updates[-1].record
    assert (paused.status, paused.epochs) == (Status.PAUSED, 2)
    dispatch.start(paused, Assignment(until_epoch=4))
    while dispatch.active:
        updates += dispatch.wait(1.0)
    (finished,) = folder.runs(Kind.TRIAL)
    assert (finished.status, finished.epochs, finished.attempt) == (Status.COMPLETE, 4, 2)
    assert executor.epochs_trained == 4
    assert folder.folder(finished).epochs() == full_training(record.recipe)


# Those that differ in how they decide; percentile and patient are variations of median.
@pytest.mark.parametrize("pruner", [name for name in PRUNERS if name not in ("none", "percentile", "patient")])
def test_a_simulated_study_decides_as_a_real_one(pruner: str, tmp_path: Path) -> None:
    trials = 16
    real = conduct(tmp_path, trials, pruner=pruner)
    study = opened(tmp_path / "simulated", trials=trials, pruner=pruner)
    replayed = conductor_of(
        study,
        archive=MemoryStudy(),
        executor=simulated(),
        clock=SimulatedClock(),
        complete=study.complete,
        say=lambda line: None,
    ).run(trials)

    def found(records: Sequence[RunRecord]) -> list[tuple[Any, ...]]:
        return [(record.number, record.status, record.recipe, record.best, record.epochs) for record in records]

    assert found(replayed) == found(real)
    assert {record.status for record in real} >= {Status.COMPLETE}
