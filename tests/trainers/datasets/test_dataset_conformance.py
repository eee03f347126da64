"""What every data set promises (contracts.DataSet), tested for each one."""

import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from orchestrator import plugins
from orchestrator.worker.splits import split
from tests.helpers.image_folders import pictures
from tests.helpers.paths import ROOT


@pytest.fixture(params=plugins.names("data set"))
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A data set's name, and a data folder with its files."""
    match str(request.param):
        case "cifar100":
            return "cifar100", request.getfixturevalue("cifar100_folder")
        case "cifar10":
            pytest.skip(
                "needs the real CIFAR-10, which is not here; test_cifar_files.py tests the reading on files that it makes"
            )
        case "folder":
            return f"folder:{pictures(tmp_path / 'pictures', images=100)}", tmp_path / "data"
        case name:
            return name, tmp_path


def test_images_are_as_the_facts_say(dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    info = plugins.dataset(name).info(folder)
    plugins.dataset(name).check(folder)
    for part in ("train", "test"):
        data = plugins.dataset(name).load(folder, part)
        assert data.images.dtype == np.uint8
        assert data.labels.dtype == np.int64
        assert data.images.shape == (len(data.labels), info.channels, info.size, info.size)
        assert np.array_equal(np.unique(data.labels), np.arange(info.classes))
        again = plugins.dataset(name).load(folder, part)
        assert np.array_equal(again.images, data.images)
        assert np.array_equal(again.labels, data.labels)


def test_classes_that_have_names_have_one_each(dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    source = plugins.dataset(name)
    if source.names.classes is None:
        pytest.skip(f"the classes of {name} have no names")
    assert len(set(source.names.classes(folder))) == source.info(folder).classes


def test_images_that_have_names_have_one_each(dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    source = plugins.dataset(name)
    if source.names.images is None:
        pytest.skip(f"the images of {name} have no names")
    parts: tuple[Literal["train", "test"], ...] = ("train", "test")
    for part in parts:
        assert len(set(source.names.images(folder, part))) == len(source.load(folder, part).labels)


def test_statistics_are_those_of_the_training_images(dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    info = plugins.dataset(name).info(folder)
    images = plugins.dataset(name).load(folder, "train").images
    assert len(images) == info.train_images
    assert images.min() == 0
    assert images.max() == 255
    assert images.mean(axis=(0, 2, 3)) / 255 == pytest.approx(info.mean, abs=6e-6)
    assert images.std(axis=(0, 2, 3)) / 255 == pytest.approx(info.std, abs=6e-6)


def test_the_split_leaves_every_batch_size_enough_steps(dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    info = plugins.dataset(name).info(folder)
    labels = plugins.dataset(name).load(folder, "train").labels
    indices = split(labels, seed=0, validation=info.validation_images, confirmation=info.confirmation_images)
    assert len(indices.train) // max(info.batch_sizes) >= 9
    total = len(labels) + len(plugins.dataset(name).load(folder, "test").labels)
    shares = [len(part) / total for part in (indices.train, indices.validation, indices.confirmation)]
    # A folder without a test part of its own: a tenth for the test, and a tenth each of what is left.
    expected = {"digits": [0.7, 0.1, 0.1], "cifar100": [4 / 6, 0.5 / 6, 0.5 / 6]}.get(name, [0.72, 0.09, 0.09])
    assert shares == pytest.approx(expected, abs=0.002)


def test_the_digits_test_set_is_a_stratified_tenth_that_is_not_trained_on(tmp_path: Path) -> None:
    digits = plugins.dataset("digits")
    train, test = digits.load(tmp_path, "train"), digits.load(tmp_path, "test")
    assert len(train.labels) + len(test.labels) == 1797
    assert set(np.bincount(test.labels)) == {17, 18}
    seen = {image.tobytes() for image in train.images}
    assert not any(image.tobytes() in seen for image in test.images)


def test_cifar100_is_what_torchvision_reads(cifar100_folder: Path) -> None:
    import torchvision

    parts: tuple[Literal["train", "test"], ...] = ("train", "test")
    for part in parts:
        ours = plugins.dataset("cifar100").load(cifar100_folder, part)
        theirs = torchvision.datasets.CIFAR100(cifar100_folder, train=part == "train", download=False)
        assert np.array_equal(ours.images.transpose(0, 2, 3, 1), theirs.data)
        assert ours.labels.tolist() == theirs.targets


def test_data_sets_are_checked_and_loaded_without_torch(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from typing import Literal
from orchestrator import plugins
from orchestrator.errors import MissingInput
for name in plugins.names("data set"):
    name = "folder:no-such-folder" if name == "folder" else name
    for use in (lambda data: data.check(Path(sys.argv[1])), lambda data: data.load(Path(sys.argv[1]), "test")):
        try:
            use(plugins.dataset(name))
        except MissingInput:
            pass
assert not {"torch", "torchvision"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, check=True)
