"""Learning-rate schedules against their closed forms and torch's own."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput
from tests.helpers.training_runs import begin, digits_data
from trainers.loop.schedules.base import RunLength, Schedule
from trainers.loop.schedules.constant import Constant
from trainers.loop.schedules.cosine import Cosine, OneCycle
from trainers.loop.schedules.learning_rate import LearningRate
from trainers.loop.schedules.plateau import Plateau
from trainers.loop.schedules.stable_decay import StableDecay
from trainers.loop.schedules.step_decay import MultiStep, StepDecay

SCHEDULES: tuple[Schedule, ...] = (Constant(), Cosine(), OneCycle(), StableDecay(), StepDecay(every=1, factor=0.5))


def learning_rate(
    schedule: Schedule, *, peak: float = 0.4, warmup: float = 0.0, epochs: int = 4, steps_per_epoch: int = 25
) -> LearningRate:
    return LearningRate(
        schedule=schedule, peak=peak, length=RunLength(epochs=epochs, steps_per_epoch=steps_per_epoch, warmup=warmup)
    )


def theirs(make: Callable[[torch.optim.Optimizer], Any], calls: int, rate: float = 0.4) -> list[float]:
    """The rates of torch's scheduler, each before it is stepped."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate, momentum=0.9)
    scheduler = make(optimizer)
    rates = []
    for _ in range(calls):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def rates_of_epochs(ours: LearningRate) -> list[float]:
    """The rate of each epoch, which must be the same at all of its steps."""
    found = []
    for epoch in range(ours.length.epochs):
        rates = {ours.at(epoch * ours.length.steps_per_epoch + step) for step in range(ours.length.steps_per_epoch)}
        assert len(rates) == 1
        found.append(rates.pop())
    return found


def test_cosine_is_torchs_stepped_per_step() -> None:
    ours = [learning_rate(Cosine()).at(step) for step in range(100)]
    assert ours == pytest.approx(
        theirs(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100), 100), abs=1e-9
    )


def test_cosine_per_epoch_is_torchs_stepped_per_epoch() -> None:
    ours = rates_of_epochs(learning_rate(Cosine(per="epoch"), epochs=10, steps_per_epoch=7))
    assert ours == pytest.approx(
        theirs(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10), 10), abs=1e-9
    )


def test_steps_are_torchs_stepped_per_epoch() -> None:
    ours = rates_of_epochs(learning_rate(StepDecay(every=3, factor=0.1), epochs=10, steps_per_epoch=7))
    assert ours == pytest.approx(theirs(lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.1), 10))
    ours = rates_of_epochs(learning_rate(MultiStep(at=(2, 7), factor=0.2), epochs=10, steps_per_epoch=7))
    assert ours == pytest.approx(theirs(lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 7], 0.2), 10))


@pytest.mark.parametrize(("steps", "warmup"), [(100, 0.3), (1950, 0.1)])
def test_one_cycle_is_torchs_stepped_per_step(steps: int, warmup: float) -> None:
    ours = learning_rate(OneCycle(start=1 / 25, end=1 / 25 / 1e4), warmup=warmup, epochs=5, steps_per_epoch=steps // 5)
    expected = theirs(
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=steps + 1, pct_start=warmup), steps
    )
    # torch counts one step more than it takes, so that its last rate is never used; ours ends with the last step.
    found = [ours.at(step) for step in range(steps)]
    assert max(found) == pytest.approx(0.4)
    assert found[0] == pytest.approx(expected[0])
    assert found == pytest.approx(expected, abs=0.4 * 4 / steps)


@given(st.lists(st.floats(0.1, 5), min_size=1, max_size=40), st.integers(1, 4))
def test_plateau_is_torchs(losses: list[float], patience: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience, threshold=0, eps=0)
    ours = learning_rate(Plateau(factor=0.5, patience=patience), epochs=100, steps_per_epoch=3)
    for epoch, loss in enumerate(losses):
        assert ours.at(3 * epoch, losses[:epoch]) == pytest.approx(optimizer.param_groups[0]["lr"])
        scheduler.step(loss)


def test_a_plateau_does_not_count_the_warm_up_in_which_nothing_can_fall() -> None:
    """Else all falls of the warm-up would come at once when it ends."""
    plateau = learning_rate(Plateau(factor=0.1, patience=1), warmup=0.5, epochs=10, steps_per_epoch=3)
    losses = [4.6, 4.7, 4.8, 4.65, 4.62, 4.0, 3.9, 3.95, 3.96]
    rates = [plateau.at(3 * epoch + 2, losses[:epoch]) for epoch in range(10)]
    assert rates == pytest.approx([0.08, 0.16, 0.24, 0.32, 0.4, 0.4, 0.4, 0.4, 0.4, 0.04])
    partly = learning_rate(Plateau(factor=0.1, patience=1), warmup=0.25, epochs=10, steps_per_epoch=3)  # 8 of 30 steps
    assert partly.at(29, [1.0, 2.0, 3.0, 1.0, 2.0, 0.5]) == 0.4
    assert partly.at(29, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]) == pytest.approx(0.04)


def test_a_fall_that_is_shorter_than_a_step_is_refused() -> None:
    learning_rate(StableDecay(decay=0.2), warmup=0.0, epochs=2, steps_per_epoch=3)
    with pytest.raises(
        InvalidInput, match=r"it falls in the last 0\.1 of the steps after the warm-up, and that is less than one step"
    ):
        learning_rate(StableDecay(decay=0.1), warmup=0.0, epochs=3, steps_per_epoch=3)
    with pytest.raises(ValueError, match="from start 1 to end 1 the rate would stay what it is"):
        OneCycle(start=1.0, end=1.0)


def test_warm_up_rises_linearly_to_the_peak_and_the_schedule_fills_the_rest() -> None:
    warmed = learning_rate(Cosine(), warmup=0.2)
    assert [warmed.at(step) for step in range(20)] == pytest.approx([0.4 * (step + 1) / 20 for step in range(20)])
    for step in range(20, 100):
        assert warmed.at(step) == pytest.approx(0.2 * (1 + math.cos(math.pi * (step - 20) / 80)))
    constant = learning_rate(Constant(), warmup=0.2)
    assert {constant.at(step) for step in range(20, 100)} == {0.4}


def test_warm_up_stable_decay_holds_its_peak_and_falls_linearly_in_the_last_fifth() -> None:
    rates = [learning_rate(StableDecay(), warmup=0.2, epochs=5).at(step) for step in range(125)]
    assert rates[:25] == pytest.approx([0.4 * (step + 1) / 25 for step in range(25)])
    assert set(rates[25:105]) == {0.4}
    assert rates[105:] == pytest.approx([0.4 * (125 - step) / 20 for step in range(105, 125)])


@given(
    schedule=st.sampled_from(SCHEDULES),
    warmup=st.floats(0, 0.99),
    epochs=st.integers(2, 50),
    steps_per_epoch=st.integers(1, 40),
)
def test_rates_are_positive_and_never_above_the_peak(
    schedule: Schedule, warmup: float, epochs: int, steps_per_epoch: int
) -> None:
    assume(not schedule.without_effect(RunLength(epochs=epochs, steps_per_epoch=steps_per_epoch, warmup=warmup)))
    rate = learning_rate(schedule, warmup=warmup, epochs=epochs, steps_per_epoch=steps_per_epoch)
    rates = [rate.at(step) for step in range(epochs * steps_per_epoch)]
    assert all(0 < rate <= 0.4 * (1 + 1e-9) for rate in rates)
    assert max(rates) > 0.1


@pytest.mark.parametrize(
    ("schedule", "epochs", "message"),
    [
        (StepDecay(every=10, factor=0.5), 10, "'step' does not fit: it falls every 10 epochs, and there are 10"),
        (StepDecay(every=5), 5, "every 5 epochs, and there are 5"),
        (MultiStep(at=(2, 5)), 5, "after epoch 5, and there are 5"),
        (Cosine(per="epoch"), 1, "moves between epochs, and there is one"),
        (Plateau(patience=3), 5, "after 5 epochs at the earliest, and there are 5"),
    ],
)
def test_a_schedule_that_would_never_act_is_refused(schedule: Schedule, epochs: int, message: str) -> None:
    """StepLR(10) in a run of 5 epochs was one of the challenge's failures."""
    with pytest.raises(InvalidInput, match=message):
        learning_rate(schedule, epochs=epochs)
    longer = learning_rate(schedule, epochs=epochs + 1)
    rates = {longer.at(25 * epoch, [1.0] * epoch) for epoch in range(epochs + 1)}
    assert len(rates) > 1


@pytest.mark.parametrize(
    "wrong",
    [{"at": ()}, {"at": (3, 2)}, {"at": (0, 1)}, {"at": (2, 2)}, {"at": (1,), "factor": 1.0}, {"at": (1,), "factor": 0.0}],
)
def test_impossible_steps_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at must be|factor"):
        MultiStep(**wrong)


def test_an_epoch_reports_the_rate_of_its_last_step() -> None:
    training = begin("cnn", digits_data(), 3, batch_size=12, learning_rate=0.1, warmup=0.25)
    expected = learning_rate(Cosine(), peak=0.1, warmup=0.25, epochs=3, steps_per_epoch=4)
    assert [training.epoch().lr for _ in range(3)] == [expected.at(step) for step in (3, 7, 11)]


def test_a_plateau_hears_of_the_validation_losses_also_after_a_pause() -> None:
    plateau = {"name": "plateau", "factor": 0.1, "patience": 1}
    settings: dict[str, Any] = {"batch_size": 24, "learning_rate": 1.0, "schedule": plateau, "warmup": 0.0}
    whole = begin("cnn", digits_data(), 9, **settings)
    epochs = [whole.epoch() for _ in range(9)]
    expected = learning_rate(Plateau(factor=0.1, patience=1), peak=1.0, epochs=9, steps_per_epoch=2)
    losses = [epoch.val_loss for epoch in epochs]
    rates = [expected.at(2 * number, losses[:number]) for number in range(9)]
    assert [epoch.lr for epoch in epochs] == rates
    assert len(set(rates)) > 1
    paused = begin("cnn", digits_data(), 9, **settings)
    for _ in range(5):
        paused.epoch()
    resumed = begin("cnn", digits_data(), 9, **settings)
    resumed.load_state_dict(paused.state_dict())
    assert [resumed.epoch().lr for _ in range(4)] == rates[5:]
