"""Averages of the weights follow their formulas, and are what is validated and kept."""

import pytest
import torch

from orchestrator import plugins
from tests.helpers.training_runs import begin, digits_data, run, same, weights
from trainers.loop.averaging import AveragedWeights, ExponentialAverage, StochasticAverage


def test_an_exponential_average_follows_its_formula() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    average = AveragedWeights(model, ExponentialAverage(decay=0.9), epochs=1)
    values = [float(number) for number in range(200)]
    mean = values[0]
    for taken, value in enumerate(values):
        model.weight.data.fill_(value)
        average.after_step()
        if taken:
            decay = min(0.9, (1 + taken) / (10 + taken))
            mean = decay * mean + (1 - decay) * value
        assert float(average.model.state_dict()["weight"]) == pytest.approx(mean, rel=1e-4)


def test_a_stochastic_average_is_the_mean_of_the_last_epochs() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    average = AveragedWeights(model, StochasticAverage(start=0.5), epochs=10)
    for epoch in range(1, 11):
        model.weight.data.fill_(float(epoch))
        average.after_step()
        average.after_epoch(epoch)
        assert average.begun == (epoch > 5)
    assert float(average.model.state_dict()["weight"]) == pytest.approx((6 + 7 + 8 + 9 + 10) / 5)


def test_what_is_validated_and_kept_is_the_average() -> None:
    data = digits_data()
    training = begin("cnn", data, 3, batch_size=12, averaging={"name": "ema", "decay": 0.9})
    epoch = run(training, 3)[-1]
    kept = training.snapshot()["model"]
    assert not same(kept, weights(training))
    predicted = plugins.trainer("cnn").restore(training.snapshot(), "cpu")(data.validation_images)
    assert float((predicted.argmax(1) == data.validation_labels).float().mean()) == pytest.approx(epoch.val_acc)
    chosen = predicted[torch.arange(len(predicted)), data.validation_labels]
    assert -chosen.log().mean().item() == pytest.approx(epoch.val_loss, rel=1e-5)
