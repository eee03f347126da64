"""Each of the fifteen reference systems trains on real images, and its recipe is known when it is met again."""

import dataclasses
import hashlib
import io
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

import orchestrator
from orchestrator import plugins
from orchestrator.contracts import Data, Training
from orchestrator.hyperparameters import complete
from orchestrator.recipe import Recipe
from orchestrator.sessions.find_recipe import reference_of
from search_spaces.reference_systems.support.system import ReportedSystem
from tests.helpers.in_process_cli import call
from tests.helpers.reference_systems import SYSTEMS, by_number, reported_system
from tests.helpers.training_runs import figures, same

# Those whose networks work on many pixels: seconds on a CPU even for few images.
LARGE = ("000-P3", "001-P2", "001-P3", "004-P2", "004-P3")


def completed(system: ReportedSystem, recipe: Recipe) -> Recipe:
    kinds = plugins.trainer(system.trainer).hyperparameters
    return dataclasses.replace(recipe, params=complete(kinds, recipe.params))


@pytest.mark.parametrize("system", SYSTEMS, ids=by_number)
def test_its_recipe_is_recognised_until_a_hyperparameter_is_changed(system: ReportedSystem) -> None:
    def filled(params: Any) -> dict[str, Any]:
        return complete(plugins.trainer(system.trainer).hyperparameters, params)

    for epochs in (None, 1, 2, 3, 4, 2 * system.epochs):
        recipe = completed(system, dataclasses.replace(system.recipe(epochs), seed=9))
        assert reference_of(recipe, filled) is system
        changed = dataclasses.replace(recipe, params={**recipe.params, "learning_rate": 0.0123})
        assert reference_of(changed, filled) is None
    assert system.recipe().epochs == system.epochs
    assert system.scaling(system.epochs) == ()


@pytest.fixture(scope="module")
def images(cifar100_folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The first few hundred real training images, and their classes."""
    labelled = plugins.dataset("cifar100").load(cifar100_folder, "train")
    return torch.from_numpy(labelled.images[:400].copy()), torch.from_numpy(labelled.labels[:400].astype(np.int64))


def own_weights(system: ReportedSystem, folder: Path) -> dict[str, Any]:
    """In place of published weights, which take a network: a file of random ones in their form."""
    if not system.weights:
        return {}
    file = folder / "weights.pth"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        torch.save(torchvision.models.get_model(system.params["architecture"], weights=None).state_dict(), file)
    return {"weights": str(file), "weights_sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


def floats(training: Training) -> dict[str, torch.Tensor]:
    """A copy of all weights and running figures of the model."""
    model = training.snapshot()["model"]
    return {name: value.clone() for name, value in model.items() if value.is_floating_point()}


def data_of(images: tuple[torch.Tensor, torch.Tensor], count: int, folder: Path) -> Data:
    """So many of the images to train on, and two others to validate."""
    pictures, classes = images
    return Data(
        train_images=pictures[:count],
        train_labels=classes[:count],
        validation_images=pictures[-2:],
        validation_labels=classes[-2:],
        info=plugins.dataset("cifar100").info(folder),
        folder=folder,
    )


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS, ids=by_number)
def test_it_trains_an_epoch_on_real_images(
    system: ReportedSystem, images: tuple[torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    count = 8 if system.system in LARGE else 80
    recipe = system.recipe(1)
    params = {**recipe.params, **own_weights(system, tmp_path)}
    params["batch_size"] = min(params["batch_size"], count // 2)
    recipe = dataclasses.replace(recipe, params=params)
    training = plugins.trainer(system.trainer).begin(recipe, data_of(images, count, tmp_path), "cpu")
    before = floats(training)
    epoch = training.epoch()
    assert len(epoch.batch_losses) == count // params["batch_size"]
    assert math.isfinite(epoch.train_loss)
    assert math.isfinite(epoch.val_loss)
    assert 0 <= epoch.val_acc <= 1
    after = floats(training)
    assert [name for name in before if torch.equal(before[name], after[name])] == []  # one phase, of all layers


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS, ids=by_number)
def test_killed_after_any_epoch_it_comes_to_the_same_numbers_and_weights(
    system: ReportedSystem, images: tuple[torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    epochs = 4 if system.params.get("phases") else 3
    count = 4 if system.system in LARGE else 8
    recipe = system.recipe(epochs)
    params = {**recipe.params, **own_weights(system, tmp_path), "batch_size": count // 2, "learning_rate": 1e-3}
    recipe, data = dataclasses.replace(recipe, params=params), data_of(images, count, tmp_path)

    def begin() -> Training:
        return plugins.trainer(system.trainer).begin(recipe, data, "cpu")

    undisturbed = begin()
    expected = [figures(undisturbed.epoch()) for _ in range(epochs)]
    going = begin()
    for number in range(epochs):
        if number:  # what runs on is what was begun anew from the state, as after a kill at this epoch
            file = io.BytesIO()
            torch.save(going.state_dict(), file)
            file.seek(0)
            going = begin()
            going.load_state_dict(torch.load(file, weights_only=True))
        assert figures(going.epoch()) == expected[number]
    assert same(going.snapshot()["model"], undisturbed.snapshot()["model"])


@pytest.mark.slow
def test_the_system_with_two_phases_trains_its_head_first(images: tuple[torch.Tensor, torch.Tensor], tmp_path: Path) -> None:
    system = reported_system("003-P3")
    recipe = system.recipe(4)
    recipe = dataclasses.replace(recipe, params={**recipe.params, **own_weights(system, tmp_path), "batch_size": 16})
    training = plugins.trainer(system.trainer).begin(recipe, data_of(images, 32, tmp_path), "cpu")
    states = [floats(training)]
    rates = []
    for _ in range(4):
        rates.append(training.epoch().lr)
        states.append(floats(training))
    changed = [
        {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
        for before, after in itertools.pairwise(states)
    ]
    assert changed[:2] == [{"fc"}, {"fc"}]
    assert all({"conv1", "bn1", "layer1", "layer4", "fc"} <= names for names in changed[2:])
    assert rates == pytest.approx([1e-3, 5e-4, 1e-4, 5e-5])  # the cosine runs through once in each phase


@pytest.mark.slow
def test_001_p1_stays_at_chance_and_is_ended_and_marked_instead_of_reported(
    cifar100_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data-dir", cifar100_folder, "--runs", tmp_path / "runs", "--mirror", "off", "--executor", "in-process")
    told = call(capsys, "train", "001-P1", *words)
    assert told.code == 1
    assert "at chance: after 5,000 steps the training loss is 4.6" in told.messages
    (row,) = json.loads(call(capsys, "leaderboard", "--runs", tmp_path / "runs", "--format", "json").output)
    assert (row["state"], row["failure"], row["rank"], row["epochs"]) == ("FAILED", "diverged", None, 1)
    assert (row["reference"], row["test_acc"]) == ("001-P1", None)
    assert row["best_val_acc"] < 0.02


def test_a_system_is_trained_by_its_number_and_ranked_under_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--dataset", "digits", "--runs", tmp_path / "runs", "--mirror", "off", "--executor", "in-process")
    trained = call(capsys, "train", "000-P1", "--epochs", "1", *words)
    assert trained.code == 0, trained.messages
    assert "reference system 000-P1, 1 epoch on digits, seed 42" in trained.messages
    assert "The cosine schedule moves per epoch: in a single one the rate is constant." in trained.messages
    assert "report 000-P1, after 5 epochs on cifar100: poor" in trained.messages
    (row,) = json.loads(call(capsys, "leaderboard", "--runs", tmp_path / "runs", "--format", "json").output)
    assert (row["rank"], row["kind"], row["reference"]) == (1, "single", "000-P1")
    assert orchestrator.runs(tmp_path / "runs").runs["params.batch_size"].tolist() == [512]
    assert row["run"].startswith("train/single/cnn-3conv-batch512-cosine-")
