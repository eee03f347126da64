"""What a replayed study comes to: the same for the same seed, judged as by hand, kept and shown."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.replay import results
from benchmarks.replay.curves import ROOT, LearningCurves
from benchmarks.replay.memory import MemoryRun
from benchmarks.replay.plans import Nearest
from benchmarks.replay.results import Figure, Key
from benchmarks.replay.study import Outcome, judged, simulate
from benchmarks.replay.tables import put, tables
from orchestrator.record import Epoch, Metric


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


def test_full_training_keeps_the_winner_and_costs_all_epochs_but_those_after_a_divergence() -> None:
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
    assert not run.has_record()
    run.append(first)
    with pytest.raises(ValueError, match="1 epochs"):
        run.append(first)
    run.replace_epochs([])
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
