"""The shared loop: what it refuses, leaves out and predicts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator import plugins
from orchestrator.contracts import Diverged
from orchestrator.errors import InvalidInput
from orchestrator.recipe import Recipe
from orchestrator.worker.evaluation import evaluation
from tests.helpers.training_runs import begin, digits_data, recipe, run
from trainers.cnn import Hyperparameters
from trainers.loop.trainer import ImageShape, SupervisedTrainer


class Exploding(torch.nn.Module):
    """Gives finite logits to the first batches and then infinite ones."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(classes))
        self.batches = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.batches += 1
        return self.bias.expand(len(images), -1) * (float("inf") if self.batches > 6 else 1.0)


def exploding(hyperparameters: Hyperparameters, classes: int, image: ImageShape) -> torch.nn.Module:
    return Exploding(classes)


def test_an_infinite_loss_is_divergence() -> None:
    trainer = SupervisedTrainer(build=exploding, hyperparameters=Hyperparameters)
    training = trainer.begin(recipe("cnn", 3, batch_size=12), digits_data(), "cpu")
    training.epoch()
    with pytest.raises(Diverged, match="epoch 2"):
        training.epoch()


def test_a_rate_that_is_far_too_high_diverges() -> None:
    training = begin("cnn", digits_data(), 8, learning_rate=100.0, momentum=0.99, warmup=0.0, schedule="constant", batch_size=16)
    with pytest.raises(Diverged):
        run(training, 8)


class Recording(torch.nn.Module):
    """Remembers the images that it is trained on, epoch after epoch."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(classes))
        self.seen: list[bytes] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen += [image.numpy().tobytes() for image in images]
        return self.bias.expand(len(images), -1)


def test_every_epoch_shows_every_image_once_in_a_new_order() -> None:
    models: list[Recording] = []

    def recording(hyperparameters: Hyperparameters, classes: int, image: ImageShape) -> torch.nn.Module:
        models.append(Recording(classes))
        return models[-1]

    data = digits_data(padding=0, flip=False)
    trainer = SupervisedTrainer(build=recording, hyperparameters=Hyperparameters)
    run(trainer.begin(recipe("cnn", 2, batch_size=12), data, "cpu"), 2)
    first, second = models[0].seen[:48], models[0].seen[48:]
    assert len(set(first)) == 48
    assert set(first) == set(second)
    assert first != second


def test_only_whole_batches_are_trained_on_but_never_none() -> None:
    assert len(begin("cnn", digits_data(train=100), 1, batch_size=32).epoch().batch_losses) == 3
    assert len(begin("cnn", digits_data(train=20), 1, batch_size=32).epoch().batch_losses) == 1


def test_a_model_may_not_take_the_names_of_the_loop() -> None:
    from trainers.loop.hyperparameters import LoopHyperparameters

    with pytest.raises(ValueError, match="learning_rate"):
        SupervisedTrainer(build=exploding, hyperparameters=LoopHyperparameters)


def small_predictor() -> Any:
    data = digits_data()
    training = begin("cnn", data, 1)
    training.epoch()
    return plugins.trainer("cnn").restore(training.snapshot(), "cpu")


def test_arrays_tensors_and_memory_mapped_files_are_predicted_alike(tmp_path: Path) -> None:
    predictor = small_predictor()
    images = np.tile(plugins.dataset("digits").load(tmp_path, "test").images, (4, 1, 1, 1))  # more than one batch
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    expected = predictor(torch.from_numpy(images))
    assert expected.shape == (len(images), 10)
    assert torch.equal(predictor(images), expected)
    assert torch.equal(predictor(mapped), expected)
    assert torch.allclose(predictor(images[:7]), expected[:7], atol=1e-6)
    assert predictor(images[:0]).shape == (0, 10)


def test_what_does_not_fit_at_once_is_predicted_in_smaller_parts(tmp_path: Path) -> None:
    images = np.tile(plugins.dataset("digits").load(tmp_path, "test").images, (4, 1, 1, 1))
    roomy, tight = small_predictor(), small_predictor()
    sizes = []

    def refuse(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))
        if sizes[-1] > fits:
            raise torch.OutOfMemoryError("no room")

    tight._model.register_forward_pre_hook(refuse)
    fits = 150
    assert torch.allclose(tight(images), roomy(images), atol=1e-6)
    assert sizes[:4] == [500, 250, 125, 125]
    assert sum(size for size in sizes if size <= fits) == len(images)
    fits = 0
    with pytest.raises(torch.OutOfMemoryError):
        tight(images)
    assert sizes[-1] == 1


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 8, 8, 1), dtype=np.uint8),
        np.zeros((2, 1, 32, 32), dtype=np.uint8),
        np.zeros((2, 1, 8, 8), dtype=np.float32),
        np.zeros((1, 8, 8), dtype=np.uint8),
    ],
)
def test_images_of_another_shape_or_type_are_refused(images: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="N×1×8×8"):
        small_predictor()(images)


def test_the_digits_are_learned(tmp_path: Path) -> None:
    data = digits_data(train=1200, validation=400)
    training = begin("cnn", data, 4, batch_size=32)
    epochs = [training.epoch() for _ in range(4)]
    assert epochs[-1].val_acc > 0.93
    assert epochs[-1].train_loss < epochs[0].train_loss / 3
    test = plugins.dataset("digits").load(tmp_path, "test")
    predicted = plugins.trainer("cnn").restore(training.snapshot(), "cpu")(test.images).argmax(dim=1).numpy()
    assert (predicted == test.labels).mean() > 0.9


@pytest.mark.slow
def test_learning_falls_from_chance_on_real_photographs(cifar100_folder: Path) -> None:
    from orchestrator.contracts import Data

    dataset = plugins.dataset("cifar100")
    labelled = dataset.load(cifar100_folder, "train")
    images, labels = torch.from_numpy(labelled.images[:800]), torch.from_numpy(labelled.labels[:800])
    data = Data(
        train_images=images[:600],
        train_labels=labels[:600],
        validation_images=images[600:],
        validation_labels=labels[600:],
        info=dataset.info(cifar100_folder),
        folder=cifar100_folder,
    )
    cnn = Recipe(
        plan="test", trainer="cnn", dataset="cifar100", epochs=5, seed=1, params={"batch_size": 60, "learning_rate": 0.02}
    )
    training = plugins.trainer("cnn").begin(cnn, data, "cpu")
    epochs = [training.epoch() for _ in range(5)]
    assert 4.0 < epochs[0].train_loss < 5.2  # about ln 100 = 4.605, chance
    assert epochs[-1].train_loss < epochs[0].train_loss - 0.5
    assert epochs[-1].train_acc > 0.05


def test_one_hopeless_test_image_does_not_make_the_loss_infinite() -> None:
    probabilities = np.array([[0.5, 0.5], [1.0, 0.0]])
    measured = evaluation(probabilities, np.array([0, 1]))
    assert (measured.images, measured.acc) == (2, 0.5)
    assert measured.loss == pytest.approx((np.log(2) + 149 * np.log(2)) / 2)
