"""What every trainer promises (`contracts.Trainer`)."""

import dataclasses
import io
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from orchestrator import plugins
from orchestrator.contracts import Data
from orchestrator.errors import BadData, InvalidInput, MissingInput, UnknownName
from orchestrator.hyperparameters import complete
from orchestrator.record import Epoch
from orchestrator.testing.training_runs import asked, begin, digits_data, figures, run, same, weights

_FRESH = """
import json, sys, torch
from orchestrator.testing.training_runs import begin, digits_data
torch.set_num_threads(int(sys.argv[2]))
print(json.dumps(begin(sys.argv[1], digits_data(), 1, batch_size=24, dropout=0.3).epoch().batch_losses))
"""


class TrainerConformance:
    """Inherit it, and name the trainer.

    Every trainer has the hyperparameters that all plans sample (batch_size, learning_rate, weight_decay, label_smoothing and
    dropout), and `optimizer` and `warmup`. All trainings are of a few digits on the CPU.
    """

    trainer: ClassVar[str]  # trainers/NAME.py, found from the working directory
    other_values: ClassVar[Mapping[str, Any]] = {}  # of each hyperparameter that is not a number, one that is not its default
    quick_params: ClassVar[Mapping[str, Any]] = {"learning_rate": 0.02}  # with which 25 steps learn ten images by heart
    kinds_tried: ClassVar[int | None] = None  # how many of its dataclasses have each hyperparameter tried, by default all

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each hyperparameter."""
        if "hyperparameter" in metafunc.fixturenames:
            kinds = plugins.trainer(self.trainer).hyperparameters[: self.kinds_tried]
            metafunc.parametrize("hyperparameter", list(complete(kinds, {})))

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> Data:
        return digits_data()

    @pytest.fixture(scope="class")
    @classmethod
    def usual(cls) -> Epoch:
        return cls()._measured()

    def test_epochs_are_numbered_and_hold_believable_figures(self, data: Data) -> None:
        batch_size = 20
        training = begin(self.trainer, data, 2, batch_size=batch_size)
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

    def test_ten_images_are_learned_by_heart(self) -> None:
        data = digits_data(train=10, validation=10, padding=0, flip=False)
        epochs = run(begin(self.trainer, data, 25, **self.quick_params), 25)
        assert max(epoch.train_acc for epoch in epochs[-5:]) > 0.9  # while it trains a network may leave out parts of itself
        assert epochs[-1].train_loss < epochs[0].train_loss / 4

    @pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
    def test_killed_and_resumed_is_the_same_run_to_the_last_bit(self, optimizer: str, data: Data) -> None:
        params: dict[str, Any] = {
            "batch_size": 24,
            "dropout": 0.3,
            "label_smoothing": 0.1,
            "optimizer": optimizer,
            "learning_rate": 0.01,
        }
        whole = begin(self.trainer, data, 3, **params)
        expected = run(whole, 3)

        killed = begin(self.trainer, data, 3, **params)
        killed.epoch()
        state = _stored(killed.state_dict())
        killed.epoch()  # what was saved must not change when training continues
        resumed = begin(self.trainer, data, 3, **params)
        resumed.load_state_dict(state)

        assert run(resumed, 2) == expected[1:]
        assert same(weights(resumed), weights(whole))

    def test_runs_in_one_process_neither_hear_of_each_other_nor_change_anything(self, data: Data) -> None:
        images = data.train_images.clone()
        alone = run(begin(self.trainer, data, 2, batch_size=24, dropout=0.3), 2)
        torch.manual_seed(1)
        expected_draw = torch.rand(3)

        torch.manual_seed(1)
        one = begin(self.trainer, data, 2, batch_size=24, dropout=0.3)
        other = begin(self.trainer, data, 2, seed=8, batch_size=24, dropout=0.3)
        interleaved = []
        for _ in range(2):
            interleaved += run(one, 1)
            run(other, 1)
        assert interleaved == alone
        assert torch.equal(torch.rand(3), expected_draw)
        assert torch.equal(data.train_images, images)

    def test_a_fresh_process_gives_the_same_numbers(self, data: Data) -> None:
        words = [sys.executable, "-c", _FRESH, self.trainer, str(torch.get_num_threads())]
        fresh = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
        run(begin(self.trainer, data, 1, seed=9), 1)
        assert begin(self.trainer, data, 1, batch_size=24, dropout=0.3).epoch().batch_losses == tuple(fresh)

    def test_the_seed_matters(self, data: Data) -> None:
        first, second = (begin(self.trainer, data, 1, seed=seed) for seed in (1, 2))
        assert not same(weights(first), weights(second))
        assert first.epoch().batch_losses != second.epoch().batch_losses

    def test_a_snapshot_predicts_what_was_measured(self, data: Data) -> None:
        training = begin(self.trainer, data, 3, batch_size=24, label_smoothing=0.2, dropout=0.3, learning_rate=0.002)
        epoch = run(training, 2)[-1]
        stored, snapshot = _stored(training.snapshot()), training.snapshot()
        training.epoch()  # further training must not change what was taken
        for content in (snapshot, stored):
            probabilities = plugins.trainer(self.trainer).restore(content, "cpu")(data.validation_images)
            assert probabilities.dtype == torch.float32
            assert torch.allclose(probabilities.sum(dim=1), torch.ones(len(probabilities)), atol=1e-5)
            hits = probabilities.argmax(dim=1) == data.validation_labels
            assert hits.float().mean().item() == pytest.approx(epoch.val_acc)
            # The validation loss is the plain cross entropy, although the training smooths labels.
            chosen = probabilities[torch.arange(len(probabilities)), data.validation_labels]
            assert -chosen.log().mean().item() == pytest.approx(epoch.val_loss, rel=1e-5)

    def test_every_hyperparameter_acts_or_is_refused(self, hyperparameter: str, usual: Epoch) -> None:
        defaults = complete(plugins.trainer(self.trainer).hyperparameters, {})
        other = self._other_value(hyperparameter, defaults[hyperparameter])
        try:
            changed = self._measured(**{hyperparameter: other})
        except (InvalidInput, MissingInput):
            return
        assert changed != usual

    def test_weight_decay_pulls_the_weights_in(self, data: Data) -> None:
        def size(weight_decay: float) -> float:
            training = begin(self.trainer, data, 1, weight_decay=weight_decay, batch_size=12, warmup=0.0)
            training.epoch()
            return sum(value.float().square().sum().item() for key, value in weights(training).items() if key.endswith("weight"))

        assert size(1.0) < 0.9 * size(0.0)

    def test_unknown_and_impossible_params_are_refused(self, data: Data, tmp_path: Path) -> None:
        trainer = plugins.trainer(self.trainer)
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

    def test_what_is_no_state_or_snapshot_is_bad_data(self, data: Data) -> None:
        training = begin(self.trainer, data, 1)
        for state in (
            {},
            {"val_losses": [1.0], "val_accs": [0.5], "model": {}, "optimizer": {}},
            {"val_losses": [1.0], "val_accs": [0.5], "model": None, "optimizer": None},
        ):
            with pytest.raises(BadData):
                training.load_state_dict(state)
        with pytest.raises(BadData):
            plugins.trainer(self.trainer).restore({**training.snapshot(), "model": {}}, "cpu")
        with pytest.raises(BadData):
            plugins.trainer(self.trainer).restore({}, "cpu")

    def test_hyperparameters_are_frozen_dataclasses_with_defaults(self) -> None:
        for kind in plugins.trainer(self.trainer).hyperparameters:
            usual = kind()
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(usual, dataclasses.fields(kind)[0].name, None)

    def _measured(self, **params: Any) -> Epoch:
        return figures(begin(self.trainer, digits_data(), 1, **{"batch_size": 12, **params}).epoch())

    def _other_value(self, hyperparameter: str, value: Any) -> Any:
        if hyperparameter in self.other_values:
            return self.other_values[hyperparameter]
        if isinstance(value, float):
            return value / 2 or 0.3
        assert isinstance(value, int), f"give {hyperparameter} another value in `other_values`"
        return value // 2


def _stored(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The content, written to a file as checkpoints are, and read back."""
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    found: Mapping[str, Any] = torch.load(file, weights_only=True)
    return found
