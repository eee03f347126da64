"""`orchestrate data preview`: the picture is of what the model is trained on."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from orchestrator import plugins
from orchestrator.contracts import Data
from orchestrator.hyperparameters import divide
from orchestrator.recipe import Recipe
from orchestrator.sessions.find_recipe import read_recipe
from orchestrator.support.serialization import to_plain
from orchestrator.worker.splits import split
from search_spaces.reference_systems.support.system import ReportedSystem
from tests.helpers.in_process_cli import call, refused
from tests.helpers.paths import PLUGINS
from tests.helpers.reference_systems import SYSTEMS
from trainers.cnn import Hyperparameters
from trainers.loop.random_streams import generator
from trainers.loop.trainer import ImageShape, SupervisedTrainer
from trainers.preview.png import png
from trainers.preview.preview import preview


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 1000))
def test_a_png_file_is_read_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, seed: int
) -> None:
    pixels = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator(seed))
    file = tmp_path_factory.mktemp("png") / "a.png"
    file.write_bytes(png(pixels))
    with Image.open(file) as image:
        image.load()
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), pixels.permute(1, 2, 0).numpy())


def cells(file: Path, columns: int) -> list[list[np.ndarray]]:
    """The images of a picture of 3 rows, whose cells are 96 pixels wide."""
    with Image.open(file) as image:
        pixels = np.asarray(image)
    assert pixels.shape == (3 * 98, (columns + 1) * 98 + 10, 3)
    lefts = [0, *(98 * column + 10 for column in range(1, columns + 1))]
    return [[pixels[98 * row : 98 * row + 96, left : left + 96] for left in lefts] for row in range(3)]


@pytest.mark.slow
def test_rows_are_training_images_and_columns_are_epochs(
    cifar100_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.png"
    size = ("--rows", "3", "--columns", "4")
    result = call(capsys, "data", "preview", "part1", *size, "--data-dir", cifar100_folder, "--output", file)
    assert (result.code, result.output) == (0, "")
    assert str(file) in result.messages
    dataset = plugins.dataset("cifar100")
    read = dataset.load(cifar100_folder, "train")
    trained = split(read.labels, seed=0, validation=5000, confirmation=5000).train
    shown = cells(file, 4)
    for row, index in zip(shown, (trained[0], trained[19_999], trained[39_999]), strict=True):
        original = read.images[index].transpose(1, 2, 0)
        assert np.array_equal(row[0], original.repeat(3, axis=0).repeat(3, axis=1))
        padded = np.pad(original, ((4, 4), (4, 4), (0, 0)))
        windows = [padded[top : top + 32, left : left + 32] for top in range(9) for left in range(9)]
        outcomes = {crop.tobytes() for window in windows for crop in (window, window[:, ::-1])}
        seen = [cell[::3, ::3].tobytes() for cell in row[1:]]
        assert set(seen) <= outcomes
        assert len(set(seen)) > 1


def digits_recipe(folder: Path, trainer: str) -> Path:
    file = folder / "mine.json"
    recipe = Recipe(plan="mine", trainer=trainer, dataset="digits", epochs=2, seed=0)
    file.write_text(json.dumps(to_plain(recipe)))
    return file


def test_a_recipe_file_and_images_without_colour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words: list[str | Path] = ["data", "preview", digits_recipe(tmp_path, "cnn"), "--rows", "3", "--columns", "2"]
    result = call(capsys, *words)
    assert result.code == 0, result.messages
    file = tmp_path / "mine-preview.png"
    before = file.read_bytes()
    call(capsys, *words)
    assert file.read_bytes() == before
    call(capsys, *words, "--seed", "1")
    assert file.read_bytes() != before
    call(capsys, "data", "preview", "part1", "--dataset", "digits", *words[3:], "--output", tmp_path / "plan.png")
    for row in cells(file, 2) + cells(tmp_path / "plan.png", 2):
        for cell in row:
            assert (cell == cell[..., :1]).all()
            assert np.array_equal(cell, cell[::12, ::12].repeat(12, axis=0).repeat(12, axis=1))


class Recording(torch.nn.Module):
    """Remembers the images that it is trained on, as levels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(classes))
        self.seen: set[bytes] = set()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            info = plugins.dataset("digits").info(Path("nowhere"))
            levels = ((images * info.std[0] + info.mean[0]) * 255).round().to(torch.uint8)
            self.seen |= {image.numpy().tobytes() for image in levels}
        return self.bias.expand(len(images), -1)


def test_the_picture_is_what_the_model_is_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models: list[Recording] = []

    def recording(hyperparameters: Hyperparameters, classes: int, image: ImageShape) -> torch.nn.Module:
        models.append(Recording(classes))
        return models[-1]

    file = tmp_path / "a.png"
    recipe_file = digits_recipe(tmp_path, "cnn")
    call(capsys, "data", "preview", recipe_file, "--rows", "3", "--columns", "2", "--output", file)
    shown = [[cell[::12, ::12, 0].tobytes() for cell in row] for row in cells(file, 2)]

    dataset = plugins.dataset("digits")
    read = dataset.load(tmp_path, "train")
    parts = split(read.labels, seed=0, validation=180, confirmation=180)
    images, labels = torch.from_numpy(read.images), torch.from_numpy(read.labels)
    data = Data(
        train_images=images[parts.train],
        train_labels=labels[parts.train],
        validation_images=images[parts.validation],
        validation_labels=labels[parts.validation],
        info=dataset.info(tmp_path),
        folder=tmp_path,
    )
    recipe = replace(read_recipe(recipe_file), params={"batch_size": 34})  # 37 batches: no image is left out
    training = SupervisedTrainer(build=recording, hyperparameters=Hyperparameters).begin(recipe, data, "cpu")
    for column in (1, 2):
        training.epoch()
        assert {row[column] for row in shown} <= models[0].seen
        models[0].seen.clear()


def test_mixed_images_are_mixed_in_the_picture_too(tmp_path: Path, photographs: torch.Tensor) -> None:
    params = {"augmentation": [], "mixing": [{"name": "mixup", "alpha": 100.0}]}  # some half of each
    settings = divide(plugins.trainer("cnn").hyperparameters, params)
    info = plugins.dataset("cifar100").info(tmp_path)
    file = tmp_path / "a.png"
    file.write_bytes(preview(settings, photographs.numpy(), info, seed=3, rows=3, epochs=2))
    shown = cells(file, 2)
    for column in (1, 2):
        for row in range(3):
            own, other, mixed = shown[row][0], shown[row - 1][0], shown[row][column].astype(float)
            halves = np.abs(mixed - (own.astype(float) + other) / 2)
            assert halves.mean() < 0.2 * np.abs(own.astype(float) - other).mean()


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: str(system.system))
def test_what_every_reference_system_does_to_its_images_can_be_seen(
    system: ReportedSystem, photographs: torch.Tensor, tmp_path: Path
) -> None:
    recipe = system.recipe(None)
    settings = divide(plugins.trainer(recipe.trainer).hyperparameters, recipe.params)
    info = plugins.dataset(recipe.dataset).info(tmp_path)
    size = settings[1].center_crop or settings[1].resize or 32
    cell = size if size >= 96 else 96
    content = preview(settings, photographs.numpy(), info, seed=recipe.seed, rows=3, epochs=2)
    with Image.open(io.BytesIO(content)) as image:
        pixels = np.asarray(image)
    assert pixels.shape == (3 * (cell + 2), 3 * (cell + 2) + 10, 3)
    original, first, second = (pixels[:, left : left + cell] for left in (0, cell + 12, 2 * cell + 14))
    for one, other in ((first, original), (second, original), (first, second)):
        assert np.array_equal(one, other) == (recipe.params["augmentation"] == ())


def test_what_cannot_be_shown_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(PLUGINS)  # where the trainer `curve` is
    file = tmp_path / "nowhere" / "a.png"
    refused(capsys, 2, "data", "preview", "part7", "--output", file, says=["part1"])
    refused(capsys, 2, "data", "preview", "part1", "--rows", "0", says=["at least 1"])
    refused(capsys, 2, "data", "preview", digits_recipe(tmp_path, "curve"), "--output", file, says=["shared training loop"])
    refused(capsys, 66, "data", "preview", tmp_path / "not-there.json", says=["not-there.json"])
    refused(capsys, 74, "data", "preview", digits_recipe(tmp_path, "cnn"), "--output", file, says=[str(file)])
