"""The chance level, and which runs are ended because they learn nothing."""

import math

import pytest

from orchestrator.record import Epoch
from orchestrator.worker.divergence import ChanceLevel, divergence_reason
from tests.helpers.training_runs import begin, digits_data

HUNDRED = ChanceLevel.of([400] * 100, [50] * 100)
TWO = ChanceLevel.of([400] * 2, [50] * 2)


def losses(number: int, values: list[float], val_acc: float = 0.01) -> Epoch:
    mean = sum(values) / len(values)
    return Epoch(
        number=number,
        train_loss=mean,
        train_acc=0.01,
        val_loss=4.6,
        val_acc=val_acc,
        lr=0.1,
        seconds=1.0,
        batch_losses=tuple(values),
    )


@pytest.mark.parametrize(
    ("value", "steps", "last", "message"),
    [
        (4.61, 1000, False, "at chance: after 1,000 steps the training loss is 4.61; chance-level loss is ln(100) = 4.605"),
        (4.7, 5000, False, "at chance"),
        (4.61, 999, False, ""),
        (4.61, 100, True, "at chance: after 100 steps"),
        (4.61, 99, True, ""),
        (4.55, 5000, True, ""),
        (14.0, 100, False, "exploded"),
        (14.0, 99, True, ""),
    ],
)
def test_what_has_learned_nothing_is_told_from_what_learns_slowly(value: float, steps: int, last: bool, message: str) -> None:
    found = divergence_reason([losses(1, [value] * steps)], HUNDRED, at_full_rate=steps, last=last)
    assert message in found
    assert bool(found) == bool(message)


def test_chance_is_judged_by_the_last_quarter_of_an_epoch_and_by_a_hundred_steps() -> None:
    assert not divergence_reason([losses(1, [4.7] * 800 + [4.4] * 300)], HUNDRED, at_full_rate=1100, last=False)
    short = [losses(number, [4.55, 4.55, 4.55, 4.7]) for number in range(1, 301)]  # the last step of each is a hard one
    assert not divergence_reason(short, HUNDRED, at_full_rate=1200, last=False)


def test_what_is_still_warming_up_is_not_judged() -> None:
    assert not divergence_reason([losses(1, [4.61] * 5000)], HUNDRED, at_full_rate=0, last=False)
    training = begin("cnn", digits_data(), 4, batch_size=12, warmup=0.5)
    counted = []
    for _ in range(4):
        training.epoch()
        counted.append(training.capabilities.steps_at_full_rate)
    assert counted == [0, 0, 4, 8]


def test_a_run_that_learned_from_mixed_images_is_not_at_chance() -> None:
    """With few classes the training loss of one mixed batch is the chance-level loss, however much was learned."""
    hard = [losses(number, [0.7] * 4, 0.9) for number in range(1, 400)]
    assert not divergence_reason(hard, TWO, at_full_rate=1600, last=True)
    unknowing = [losses(number, [0.7] * 4, 0.55) for number in range(1, 400)]
    assert "at chance" in divergence_reason(unknowing, TWO, at_full_rate=1600, last=True)


def test_what_learned_and_then_fell_back_to_chance_is_ended_after_more_steps() -> None:
    """A rate of .1 with batches of 8 learns for a while before its weights are lost."""
    learned = losses(1, [4.4] * 1000, 0.04)
    assert not divergence_reason([learned, losses(2, [4.62] * 450)], HUNDRED, at_full_rate=1450, last=False)
    assert not divergence_reason([learned, losses(2, [4.62] * 900, 0.03)], HUNDRED, at_full_rate=1900, last=False)
    assert "at chance" in divergence_reason([learned, losses(2, [4.62] * 900)], HUNDRED, at_full_rate=1900, last=False)


def test_chance_is_that_of_the_classes_frequencies() -> None:
    """Where nine images of ten are of one class, naming it always costs half of ln 2, and is right nine times of ten."""
    uneven = ChanceLevel.of([900, 100], [900, 100])
    assert uneven.loss == pytest.approx(0.325083, abs=1e-6)
    assert uneven.acc == 0.9
    assert uneven.describe() == "chance-level loss is 0.3251"
    assert "at chance" in divergence_reason([losses(1, [0.326] * 1000, 0.9)], uneven, at_full_rate=1000, last=False)
    assert not divergence_reason([losses(1, [0.326] * 1000, 0.99)], uneven, at_full_rate=1000, last=False)
    assert not divergence_reason([losses(1, [0.3] * 1000, 0.9)], uneven, at_full_rate=1000, last=False)
    assert not ChanceLevel.of([9_999, 1], [999, 1]).explains(0.999)  # no accuracy could show more than chance here


def test_smoothing_raises_the_chance_level_loss_where_classes_are_uneven() -> None:
    """A perfect model then costs as much as naming the frequencies does without smoothing: .325."""
    smoothed = ChanceLevel.of([900, 100], [900, 100], label_smoothing=0.2)
    assert smoothed.loss == pytest.approx(-(0.82 * math.log(0.82) + 0.18 * math.log(0.18)))
    assert not divergence_reason([losses(1, [0.38] * 1000, 0.9)], smoothed, at_full_rate=1000, last=False)
    assert "at chance" in divergence_reason([losses(1, [0.4715] * 1000, 0.9)], smoothed, at_full_rate=1000, last=False)
    assert ChanceLevel.of([10] * 100, [1] * 100, label_smoothing=0.1).loss == pytest.approx(math.log(100))
    training = begin("cnn", digits_data(), 1, label_smoothing=0.1)
    assert training.capabilities.label_smoothing == 0.1
