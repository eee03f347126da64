"""Learning-rate schedules against their closed forms and torch's own."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests._training import begin, digits_data
from trainers._schedules import SHAPES, Schedule


def schedule(shape: str, *, peak: float = 0.4, warmup: float = 0.0, epochs: int = 4, steps_per_epoch: int = 25) -> Schedule:
    return Schedule(shape=shape, peak=peak, warmup=warmup, epochs=epochs, steps_per_epoch=steps_per_epoch)


def test_cosine_is_torchs_stepped_per_step() -> None:
    ours = schedule("cosine")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    for step in range(100):
        assert ours.rate(step) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
        optimizer.step()
        theirs.step()


def test_warm_up_rises_linearly_to_the_peak_and_the_shape_fills_the_rest() -> None:
    warmed = schedule("cosine", warmup=0.2)
    assert [warmed.rate(step) for step in range(20)] == pytest.approx([0.4 * (step + 1) / 20 for step in range(20)])
    for step in range(20, 100):
        assert warmed.rate(step) == pytest.approx(0.2 * (1 + math.cos(math.pi * (step - 20) / 80)))
    constant = schedule("constant", warmup=0.2)
    assert {constant.rate(step) for step in range(20, 100)} == {0.4}


def test_warm_up_stable_decay_holds_its_peak_and_falls_linearly_in_the_last_fifth() -> None:
    rates = [schedule("warm-up-stable-decay", warmup=0.2, epochs=5).rate(step) for step in range(125)]
    assert rates[:25] == pytest.approx([0.4 * (step + 1) / 25 for step in range(25)])
    assert set(rates[25:105]) == {0.4}
    assert rates[105:] == pytest.approx([0.4 * (125 - step) / 20 for step in range(105, 125)])


@given(
    shape=st.sampled_from(sorted(SHAPES)),
    warmup=st.floats(0, 0.99),
    epochs=st.integers(1, 50),
    steps_per_epoch=st.integers(1, 40),
)
def test_rates_are_positive_and_reach_the_peak_whatever_the_length(
    shape: str, warmup: float, epochs: int, steps_per_epoch: int
) -> None:
    any_schedule = schedule(shape, warmup=warmup, epochs=epochs, steps_per_epoch=steps_per_epoch)
    rates = [any_schedule.rate(step) for step in range(epochs * steps_per_epoch)]
    assert all(0 < rate <= 0.4 for rate in rates)
    assert max(rates) == 0.4


def test_an_epoch_reports_the_rate_of_its_last_step() -> None:
    training = begin("cnn", digits_data(), 3, batch_size=12, learning_rate=0.1, warmup=0.25)
    expected = schedule("cosine", peak=0.1, warmup=0.25, epochs=3, steps_per_epoch=4)
    assert [training.epoch().lr for _ in range(3)] == [expected.rate(step) for step in (3, 7, 11)]
