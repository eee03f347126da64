"""What names a recipe, and what counts of a run."""

import math
from dataclasses import replace

import pytest

from orchestrator.recipe import Recipe, Split
from orchestrator.record import Epoch, Metric
from orchestrator.support.seeds import derive

RECIPE = Recipe(plan="p", trainer="t", dataset="d", epochs=3, seed=1, params={"learning_rate": 0.1, "batch_size": 32})


def epoch(number: int, acc: float, loss: float = 1.0) -> Epoch:
    return Epoch(number=number, train_loss=1, train_acc=0.5, val_loss=loss, val_acc=acc, lr=0.1, seconds=1)


def test_seed_and_epochs_are_no_part_of_the_configuration() -> None:
    assert replace(RECIPE, seed=2, epochs=50).configuration() == RECIPE.configuration()
    assert replace(RECIPE, seed=2).fingerprint() != RECIPE.fingerprint()
    assert replace(RECIPE, epochs=50).fingerprint() != RECIPE.fingerprint()


@pytest.mark.parametrize(
    "other",
    [
        replace(RECIPE, trainer="u"),
        replace(RECIPE, dataset="e"),
        replace(RECIPE, split=Split(seed=1)),
        replace(RECIPE, split=Split(train_on="train+confirmation")),
        replace(RECIPE, params={"learning_rate": 0.1000000001, "batch_size": 32}),
    ],
)
def test_everything_else_is(other: Recipe) -> None:
    assert other.configuration() != RECIPE.configuration()


def test_params_cannot_be_changed() -> None:
    given = {"a": [1, 2]}
    recipe = replace(RECIPE, params=given)
    given["a"].append(3)
    assert recipe.params == {"a": (1, 2)}
    with pytest.raises(TypeError):
        recipe.params["a"] = 1  # type: ignore[index]  # what is under test


def test_streams_of_a_seed_are_unrelated_and_never_change() -> None:
    assert derive(0, "trial", 1) == derive(0, "trial", 1)
    assert len({derive(seed, "trial", number) for seed in range(10) for number in range(100)}) == 1000
    assert derive(7, "sampler", 12) == 718394949  # recorded studies depend on it
    assert all(0 <= derive(seed) < 2**31 for seed in range(1000))


def test_the_best_epoch_is_the_highest_then_the_one_of_lower_loss_then_the_earlier() -> None:
    metric = Metric()
    best = metric.best([epoch(1, 0.5), epoch(2, 0.7, 0.9), epoch(3, 0.7, 0.8), epoch(4, 0.7, 0.8), epoch(5, 0.6)])
    assert best is not None
    assert (best.epoch, best.value, best.val_loss) == (3, 0.7, 0.8)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_what_is_not_finite_never_becomes_best(bad: float, direction: str) -> None:
    metric = Metric(direction=direction)  # type: ignore[arg-type]  # pytest's parameters are plain texts
    best = metric.best([epoch(1, bad), epoch(2, 0.1), epoch(3, bad)])
    assert best is not None
    assert best.epoch == 2
    assert metric.best([epoch(1, bad)]) is None


def test_the_last_epoch_counts_when_the_rule_says_so() -> None:
    metric = Metric(rule="last")
    best = metric.best([epoch(1, 0.9), epoch(2, 0.4)])
    assert best is not None
    assert (best.epoch, best.value) == (2, 0.4)
    assert metric.best([epoch(1, 0.9), epoch(2, math.nan)]) is None


def test_a_loss_is_better_when_it_is_lower() -> None:
    best = Metric(name="val_loss", direction="minimize").best([epoch(1, 0, 0.5), epoch(2, 0, 0.3), epoch(3, 0, 0.4)])
    assert best is not None
    assert best.epoch == 2


def test_an_extra_measurement_can_be_the_metric() -> None:
    measured = replace(epoch(1, 0), extra={"corrupted_acc": 0.25})
    best = Metric(name="corrupted_acc").best([measured, epoch(2, 0.9)])
    assert best is not None
    assert (best.epoch, best.value) == (1, 0.25)
