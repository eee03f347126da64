"""What every data set promises, of each one that ships."""

import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from orchestrator import plugins
from orchestrator.contracts import DataSet
from orchestrator.testing.dataset import DataSetConformance
from tests.helpers.image_folders import pictures
from tests.helpers.paths import ROOT

A_TENTH_EACH = (0.72, 0.09, 0.09)  # for the test, and then of what is left


class TestDigits(DataSetConformance):
    dataset = "digits"
    shares = (0.7, 0.1, 0.1)


@pytest.mark.slow
class TestCifar100(DataSetConformance):
    dataset = "cifar100"
    shares = (4 / 6, 0.5 / 6, 0.5 / 6)

    @pytest.fixture
    def folder(self, cifar100_folder: Path) -> Path:
        return cifar100_folder


class TestCifar10(DataSetConformance):
    dataset = "cifar10"
    shares = A_TENTH_EACH

    @pytest.fixture
    def folder(self) -> Path:
        pytest.skip("needs the real CIFAR-10, which is not here; test_cifar_files.py checks the reading on files that it makes")


class TestFolder(DataSetConformance):
    dataset = "folder"
    shares = A_TENTH_EACH

    @pytest.fixture
    def source(self, tmp_path: Path) -> DataSet:
        return plugins.dataset(f"folder:{pictures(tmp_path / 'pictures', images=100)}")


def test_every_data_set_that_ships_is_tested_here() -> None:
    tested = {suite.dataset for suite in (TestDigits, TestCifar100, TestCifar10, TestFolder)}
    assert tested == set(plugins.names("data set"))


def test_the_digits_test_set_is_a_stratified_tenth_that_is_not_trained_on(tmp_path: Path) -> None:
    digits = plugins.dataset("digits")
    train, test = digits.load(tmp_path, "train"), digits.load(tmp_path, "test")
    assert len(train.labels) + len(test.labels) == 1797
    assert set(np.bincount(test.labels)) == {17, 18}
    seen = {image.tobytes() for image in train.images}
    assert not any(image.tobytes() in seen for image in test.images)


@pytest.mark.slow  # as scikit-learn takes seconds to import
def test_digits_are_what_scikit_learn_reads(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = [np.rint(image * 255 / 16).astype(np.uint8).tobytes() for image in bunch.images]
    theirs = list(zip(images, bunch.target.tolist(), strict=True))
    parts: tuple[Literal["train", "test"], ...] = ("train", "test")
    for part in parts:
        labelled = plugins.dataset("digits").load(tmp_path, part)
        ours = list(zip([image.tobytes() for image in labelled.images], labelled.labels.tolist(), strict=True))
        assert ours == [pair for pair in theirs if pair in set(ours)]


@pytest.mark.slow
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
