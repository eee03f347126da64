"""What every trainer promises (contracts.Trainer), proved of each one that is there."""

import dataclasses
import functools
import io
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from orchestrator import plugins
from orchestrator.contracts import Data
from orchestrator.errors import BadData, InvalidInput, MissingInput, UnknownName
from orchestrator.hyperparameters import complete
from orchestrator.record import Epoch
from tests.helpers.paths import ROOT
from tests.helpers.training_runs import asked, begin, digits_data, figures, run, same, weights

NAMES = plugins.names("trainer")
LARGE = ("convnext", "efficientnet")  # even their smallest networks take many times as long as these tests otherwise do
SMALL = [name for name in NAMES if name not in LARGE]
TRAINERS = [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES if name in LARGE)]

# Another value for each hyperparameter that is not a number. "IMAGENET1K_V1" is refused here: the weights are not there.
OTHER_VALUES: dict[str, Any] = {
    "blocks": ({"channels": 16}, {"channels": 32}),
    "average": True,
    "hidden": (16,),
    "head": ({"units": 16},),
    "optimizer": "adamw",
    "schedule": "constant",
    "architecture": {"convnext": "convnext_small", "efficientnet": "efficientnet_b1", "resnet": "resnet34"},
    "stem": "stock",
    "weights": "IMAGENET1K_V1",
    "weights_sha256": "0" * 64,
    "phases": ({"epochs": 1, "layers": "head"},),
    "averaging": "ema",
    "augmentation": ({"name": "crop", "padding": 2},),
    "mixing": ("mixup",),
    "normalisation": "half",
    "center_crop": 6,
    "clip": 0.01,
    "patience": 1,
    "precision": "bfloat16",
    "resize": 16,
}


def another(trainer: str, name: str, value: Any) -> Any:
    if name in OTHER_VALUES:
        other = OTHER_VALUES[name]
        return other[trainer] if isinstance(other, dict) else other
    if isinstance(value, float):
        return value / 2 or 0.3
    assert isinstance(value, int), f"give {name} another value in OTHER_VALUES"
    return value // 2


def measured(name: str, **params: Any) -> Epoch:
    return figures(begin(name, digits_data(), 1, **params).epoch())


@functools.cache
def usually(name: str) -> Epoch:
    return measured(name, batch_size=12)


def settings() -> list[Any]:
    """Of the large networks their own hyperparameters only: the loop's are the same for all."""
    found = []
    for trainer in NAMES:
        kinds = plugins.trainer(trainer).hyperparameters
        for name, value in complete(kinds[:1] if trainer in LARGE else kinds, {}).items():
            marks = [pytest.mark.slow] if trainer in LARGE else []
            found.append(pytest.param(trainer, name, another(trainer, name, value), marks=marks))
    return found


@pytest.fixture(scope="module")
def data() -> Data:
    return digits_data()


@pytest.mark.parametrize("name", TRAINERS)
def test_epochs_are_numbered_and_hold_believable_figures(name: str, data: Data) -> None:
    batch_size = 20
    training = begin(name, data, 2, batch_size=batch_size)
    for number in (1, 2):
        epoch = training.epoch()
        assert epoch.number == number
        assert len(epoch.batch_losses) == len(data.train_images) // batch_size
        assert epoch.train_loss == pytest.approx(sum(epoch.batch_losses) / len(epoch.batch_losses))
        assert 0 <= epoch.train_acc <= 1
        assert 0 <= epoch.val_acc <= 1
        assert math.isfinite(epoch.train_loss)
        assert epoch.val_loss > 0
        assert epoch.seconds > 0
        assert epoch.lr > 0
    with pytest.raises(ValueError, match="ends after 2 epochs"):
        training.epoch()


# What learns in 25 steps, where the usual rate does not.
QUICKLY: dict[str, dict[str, Any]] = {"efficientnet": {"learning_rate": 0.005, "optimizer": "adamw", "dropout": 0.0}}


@pytest.mark.parametrize("name", TRAINERS)
def test_ten_images_are_learned_by_heart(name: str) -> None:
    data = digits_data(train=10, validation=10, padding=0, flip=False)
    epochs = run(begin(name, data, 25, **QUICKLY.get(name, {"learning_rate": 0.02})), 25)
    assert max(epoch.train_acc for epoch in epochs[-5:]) > 0.9  # while it trains a network may leave out parts of itself
    assert epochs[-1].train_loss < epochs[0].train_loss / 4


@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_killed_and_resumed_is_the_same_run_to_the_last_bit(name: str, optimizer: str, data: Data) -> None:
    params: dict[str, Any] = {
        "batch_size": 24,
        "dropout": 0.3,
        "label_smoothing": 0.1,
        "optimizer": optimizer,
        "learning_rate": 0.01,
    }
    whole = begin(name, data, 3, **params)
    expected = run(whole, 3)

    killed = begin(name, data, 3, **params)
    killed.epoch()
    file = io.BytesIO()
    torch.save(killed.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    killed.epoch()  # what was saved must not change when training goes on
    resumed = begin(name, data, 3, **params)
    resumed.load_state_dict(state)

    assert run(resumed, 2) == expected[1:]
    assert same(weights(resumed), weights(whole))


@pytest.mark.parametrize("name", TRAINERS)
def test_runs_in_one_process_neither_hear_of_each_other_nor_change_anything(name: str, data: Data) -> None:
    images = data.train_images.clone()
    alone = run(begin(name, data, 2, batch_size=24, dropout=0.3), 2)
    torch.manual_seed(1)
    expected_draw = torch.rand(3)

    torch.manual_seed(1)
    one = begin(name, data, 2, batch_size=24, dropout=0.3)
    other = begin(name, data, 2, seed=8, batch_size=24, dropout=0.3)
    interleaved = []
    for _ in range(2):
        interleaved += run(one, 1)
        run(other, 1)
    assert interleaved == alone
    assert torch.equal(torch.rand(3), expected_draw)
    assert torch.equal(data.train_images, images)


FRESH = """
import json, torch
from orchestrator import plugins
from tests.helpers.training_runs import begin, digits_data
torch.set_num_threads({threads})
data = digits_data()
losses = {{name: begin(name, data, 1, batch_size=24, dropout=0.3).epoch().batch_losses for name in {names}}}
print(json.dumps(losses))
"""


def test_a_fresh_process_gives_the_same_numbers(data: Data) -> None:
    code = FRESH.format(threads=torch.get_num_threads(), names=SMALL)
    root = ROOT
    printed = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True).stdout
    fresh = json.loads(printed)
    for name in SMALL:
        run(begin(name, data, 1, seed=9), 1)
        assert begin(name, data, 1, batch_size=24, dropout=0.3).epoch().batch_losses == tuple(fresh[name])


@pytest.mark.parametrize("name", TRAINERS)
def test_the_seed_matters(name: str, data: Data) -> None:
    first, second = (begin(name, data, 1, seed=seed) for seed in (1, 2))
    assert not same(weights(first), weights(second))
    assert first.epoch().batch_losses != second.epoch().batch_losses


@pytest.mark.parametrize("name", TRAINERS)
def test_a_snapshot_predicts_what_was_measured(name: str, data: Data) -> None:
    training = begin(name, data, 3, batch_size=24, label_smoothing=0.2, dropout=0.3, learning_rate=0.002)
    epoch = run(training, 2)[-1]
    file = io.BytesIO()
    torch.save(training.snapshot(), file)
    file.seek(0)
    snapshot = training.snapshot()
    training.epoch()  # further training must not change what was taken
    for content in (snapshot, torch.load(file, weights_only=True)):
        probabilities = plugins.trainer(name).restore(content, "cpu")(data.validation_images)
        assert probabilities.dtype == torch.float32
        assert torch.allclose(probabilities.sum(dim=1), torch.ones(len(probabilities)), atol=1e-5)
        hits = probabilities.argmax(dim=1) == data.validation_labels
        assert hits.float().mean().item() == pytest.approx(epoch.val_acc)
        # The validation loss is the plain cross entropy, although the training smooths labels.
        chosen = probabilities[torch.arange(len(probabilities)), data.validation_labels]
        assert -chosen.log().mean().item() == pytest.approx(epoch.val_loss, rel=1e-5)


@pytest.mark.parametrize(("name", "hyperparameter", "value"), settings())
def test_every_hyperparameter_acts_or_is_refused(name: str, hyperparameter: str, value: Any) -> None:
    try:
        changed = measured(name, **{"batch_size": 12, hyperparameter: value})
    except (InvalidInput, MissingInput):
        return
    assert changed != usually(name)


@pytest.mark.parametrize("name", TRAINERS)
def test_weight_decay_pulls_the_weights_in(name: str, data: Data) -> None:
    def size(weight_decay: float) -> float:
        training = begin(name, data, 1, weight_decay=weight_decay, batch_size=12, warmup=0.0)
        training.epoch()
        return sum(value.float().square().sum().item() for key, value in weights(training).items() if key.endswith("weight"))

    assert size(1.0) < 0.9 * size(0.0)


@pytest.mark.parametrize("name", TRAINERS)
def test_unknown_and_impossible_params_are_refused(name: str, data: Data, tmp_path: Path) -> None:
    trainer = plugins.trainer(name)
    with pytest.raises(UnknownName, match="learning_rate"):
        trainer.check(asked("any", {"learning_rat": 0.1}), data.info, tmp_path)
    for params in (
        {"dropout": 1.5},
        {"batch_size": 0},
        {"optimizer": "adagard"},
        {"learning_rate": float("nan")},
        {"warmup": 1.0},
    ):
        with pytest.raises(InvalidInput):
            trainer.check(asked("any", params), data.info, tmp_path)
    trainer.check(asked("any", {}), data.info, tmp_path)


@pytest.mark.parametrize("name", TRAINERS)
def test_what_is_no_state_or_snapshot_is_bad_data(name: str, data: Data) -> None:
    training = begin(name, data, 1)
    for state in (
        {},
        {"val_losses": [1.0], "val_accs": [0.5], "model": {}, "optimizer": {}},
        {"val_losses": [1.0], "val_accs": [0.5], "model": None, "optimizer": None},
    ):
        with pytest.raises(BadData):
            training.load_state_dict(state)
    with pytest.raises(BadData):
        plugins.trainer(name).restore({**training.snapshot(), "model": {}}, "cpu")
    with pytest.raises(BadData):
        plugins.trainer(name).restore({}, "cpu")


@pytest.mark.parametrize("name", TRAINERS)
def test_hyperparameters_are_frozen_dataclasses_with_defaults(name: str) -> None:
    for kind in plugins.trainer(name).hyperparameters:
        usual = kind()
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(usual, dataclasses.fields(kind)[0].name, None)
