"""The replay of recorded curves is the product with another clock, other workers and another disk, and nothing else."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.replay import results
from benchmarks.replay.curves import ROOT, LearningCurves
from benchmarks.replay.memory import MemoryRun, MemoryStudy
from benchmarks.replay.plans import Nearest
from benchmarks.replay.results import Figure, Key
from benchmarks.replay.simulation import SimulatedClock, SimulatedExecutor
from benchmarks.replay.study import Outcome, judged, simulate
from benchmarks.replay.tables import put, tables
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
from orchestrator.scheduling.pruners import PRUNERS
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


def test_workers_that_nobody_lets_train_are_an_error_and_no_endless_wait(tmp_path: Path) -> None:
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
    assert clock.now() == 4 * 0.25  # seconds: the trainer says a quarter of one for each epoch


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


def learning_curves(configurations: int = 60, epochs: int = 9, diverging: int = 4) -> LearningCurves:
    """Losses that fall to levels of their own; the last few configurations diverge after two epochs."""
    draws = np.random.default_rng(3).random((configurations, 2))
    curves = []
    for configuration, (level, _) in enumerate(draws):
        losses = [float(level + math.exp(-number / 3)) for number in range(1, epochs + 1)]
        if configuration >= configurations - diverging:
            losses = [*losses[:2], math.inf]
        curves.append(
            [
                Epoch(number=number, train_loss=loss, train_acc=0.0, val_loss=loss, val_acc=0.0, lr=0.1, seconds=1.0)
                for number, loss in enumerate(losses, start=1)
            ]
        )
    return LearningCurves(
        task="test/falling",
        metric=Metric(name="val_loss", direction="minimize", rule="last"),
        epochs=epochs,
        curves=curves,
        hyperparameters=("level", "other"),
        params=draws,
    )


def run(**changed: Any) -> Outcome:
    asked: dict[str, Any] = {"pruner_name": "median", "configurations": "random", "seed": 1, "trials": 20, **changed}
    return simulate(learning_curves(), **asked)


@pytest.mark.parametrize("configurations", ["random", "tpe"])
@pytest.mark.parametrize("workers", [1, 7])
def test_the_same_curves_and_seed_give_the_same_outcome(configurations: str, workers: int) -> None:
    outcome = run(configurations=configurations, workers=workers)
    assert outcome == run(configurations=configurations, workers=workers)
    assert outcome != run(configurations=configurations, workers=workers, seed=2)


def test_full_training_keeps_the_winner_and_costs_all_epochs_but_those_behind_a_divergence() -> None:
    curves = learning_curves(diverging=0)
    whole = simulate(curves, pruner_name="none", configurations="random", seed=1, trials=20)
    assert (whole.kept, whole.regret) == (True, 0.0)
    assert whole.epochs_full == whole.epochs_trained == 20 * 9
    assert whole.end == 20 * 9
    parallel = simulate(curves, pruner_name="none", configurations="random", seed=1, trials=20, workers=4)
    assert parallel.end == 5 * 9
    assert parallel.winner_known <= parallel.end
    diverging = simulate(learning_curves(diverging=59), pruner_name="none", configurations="random", seed=1, trials=60)
    assert diverging.epochs_trained == 9 + 59 * 3


def test_regret_of_a_case_by_hand() -> None:
    costs = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 8.0, math.inf])  # median 4, best 1: the unit is 3
    common: dict[str, Any] = {"costs": costs, "epochs_full": 100, "epochs_trained": 20, "winner_known": 12.0, "end": 20.0}
    second = judged(tried=[1, 3, 6], chosen=3, **common)
    assert (second.kept, second.regret, second.distance) == (False, 2 / 3, 1.0)
    best = judged(tried=[1, 3, 6], chosen=1, **common)
    assert (best.kept, best.regret, best.distance) == (True, 0.0, 1 / 3)
    absurd = judged(tried=[1, 5, 6], chosen=5, **common)
    assert (absurd.kept, absurd.regret, absurd.distance) == (False, 2 / 3, 1.0)
    nothing = judged(tried=[1, 3, 6], chosen=None, **common)
    assert (nothing.kept, nothing.regret, nothing.distance) == (False, 2 / 3, 1.0)


def test_costs_are_lower_for_the_better_and_infinite_for_what_diverged() -> None:
    falling = learning_curves()
    costs = falling.costs()
    assert np.isinf(costs[-4:]).all()
    assert np.isfinite(costs[:-4]).all()
    assert costs[0] == falling.curves[0][-1].val_loss
    rising = replace(falling, metric=Metric(name="train_loss"))
    assert rising.costs()[0] == -falling.curves[0][0].train_loss  # maximised, its best value


def test_a_configuration_is_found_on_the_scale_of_its_hyperparameters() -> None:
    count = 101
    params = np.stack(
        [np.linspace(-3, 5, count), 10 ** np.linspace(-6, 2, count), 1 - 10 ** np.linspace(-5, -0.3, count)[::-1]], 1
    )
    params = np.column_stack([params, np.linspace(32, 512, count)])
    names = ("linear", "rate", "beta", "batch")
    nearest = Nearest(replace(learning_curves(count), hyperparameters=names, params=params))
    for fraction in (0.0, 0.25, 0.5, 1.0):
        assert nearest(dict.fromkeys(names, fraction)) == round(100 * fraction)


def test_memory_keeps_what_a_folder_keeps_and_refuses_a_gap() -> None:
    run = MemoryRun(path=Path("0000"))
    first, second = learning_curves().curves[0][:2]
    assert not run.begun()
    run.append(first)
    with pytest.raises(ValueError, match="1 epochs"):
        run.append(first)
    run.keep_epochs([])
    run.append(first)
    run.append(second)
    assert run.epochs() == [first, second]


def outcome(**changed: Any) -> Outcome:
    same: dict[str, Any] = {
        "epochs_full": 100,
        "epochs_trained": 25,
        "kept": True,
        "regret": 0.0,
        "distance": 0.1,
        "winner_known": 20.0,
        "end": 25.0,
    }
    return Outcome(**{**same, **changed})


def test_results_are_means_over_all_studies_with_intervals_over_seeds(tmp_path: Path) -> None:
    certain = results.summed_up({"a": [outcome()] * 6, "b": [outcome(epochs_trained=75)] * 6})
    assert certain.saved == Figure(mean=2.0, low=2.0, high=2.0)
    assert certain.tasks["a"]["saved"] == 4.0
    regrets = [0.0, 0.3, 0.0, 0.0, 0.6, 0.0, 0.0, 0.3]
    uncertain = results.summed_up({"a": [outcome(regret=regret, kept=regret == 0) for regret in regrets]})
    assert uncertain.regret.mean == pytest.approx(0.15)
    assert 0.0 <= uncertain.regret.low < 0.15 < uncertain.regret.high < 0.35
    assert uncertain.kept.mean == 5 / 8
    file = tmp_path / "replay.json"
    kept = {Key(curves="taskset", configurations="random", workers=1, pruner=name): certain for name in ("none", "median")}
    results.write(file, kept)
    again = tmp_path / "again.json"
    results.write(again, results.read(file))
    assert again.read_text() == file.read_text()
    assert results.read(file).keys() == kept.keys()
    assert results.read(file)[Key(curves="taskset", configurations="random", workers=1, pruner="none")].saved == certain.saved
    assert results.read(tmp_path / "absent.json") == {}


def test_tables_replace_what_stands_between_their_marks(tmp_path: Path) -> None:
    result = results.summed_up({"a": [outcome(), outcome(regret=0.1)]})
    text = tables({Key(curves="taskset", configurations="random", workers=count, pruner="median"): result for count in (1, 4)})
    assert "| median | 4.0 (4.0-4.0)x | 1.00 (1.00-1.00) | 0.050 (0.000-0.100) |" in text
    assert "| median | 20 / 25; 4.0x, 0.050 | 20 / 25; 4.0x, 0.050 |" in text
    page = tmp_path / "page.md"
    page.write_text((ROOT / "docs" / "pruners.md").read_text())
    put(page, text)
    put(page, text)
    assert page.read_text().count("| median | 4.0 (4.0-4.0)x") == 1
    page.write_text("no marks")
    with pytest.raises(ValueError, match="marks"):
        put(page, text)
