"""A folder of images as a data set: its images and classes, facts and names."""

import os
import re
from pathlib import Path
from typing import Literal

import numpy as np
import PIL.features
import PIL.Image
import pytest
import torch

from orchestrator import plugins
from orchestrator.errors import InvalidInput, MissingInput
from orchestrator.support.names import checked_name
from orchestrator.worker.splits import split
from tests.helpers.image_folders import write
from trainers.datasets.folder import family


def test_images_and_classes_are_those_of_the_files(root: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{root}")
    class_names, image_names = dataset.names.classes, dataset.names.images
    assert class_names is not None
    assert class_names(data) == ("one", "two", "zero")
    parts: tuple[Literal["train", "test"], ...] = ("train", "test")
    read = {part: dataset.load(data, part) for part in parts}
    assert image_names is not None
    files = [
        (name, image, label)
        for part, found in read.items()
        for name, image, label in zip(image_names(data, part), found.images, found.labels, strict=True)
    ]
    assert {file for file, _, _ in files} == {path.relative_to(root).as_posix() for path in root.glob("*/*")}
    for file, image, label in files:
        assert Path(file).parent.name == class_names(data)[label]
        with PIL.Image.open(root / file) as picture:
            side = min(picture.size)
            left, top = round((picture.width - side) / 2), round((picture.height - side) / 2)
            square = picture.crop((left, top, left + side, top + side)).resize((32, 32), PIL.Image.Resampling.BILINEAR)
            expected = np.asarray(square, dtype=np.int64).transpose(2, 0, 1)
        # Two implementations of the same JPEG transform and filter: single values differ by rounding.
        difference = np.abs(image - expected)
        assert difference.max() <= 5, file
        assert difference.mean() < 0.6, file


def test_facts_are_measured_on_the_training_images(root: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{root}")
    info = dataset.info(data)
    images = dataset.load(data, "train").images / 255
    assert info.mean == pytest.approx(images.mean(axis=(0, 2, 3)), abs=1e-9)
    assert info.std == pytest.approx(images.std(axis=(0, 2, 3)), abs=1e-9)
    assert (info.classes, info.channels, info.size, info.padding, info.flip) == (3, 3, 32, 4, True)
    assert info.train_images == len(images) == 33


@pytest.mark.parametrize(
    ("classes", "images", "held_out", "batch_sizes"),
    [
        (2, 5, 2, (4,)),
        (3, 40, 10, (4, 8)),
        (10, 200, 180, (16, 32, 64, 128)),
        pytest.param(100, 600, 5_000, (64, 128, 256, 512), marks=pytest.mark.slow),
    ],
)
def test_the_split_and_the_batch_sizes_fit_folders_of_every_size(
    classes: int, images: int, held_out: int, batch_sizes: tuple[int, ...], tmp_path: Path, data: Path
) -> None:
    root = tmp_path / "pictures"
    write(tmp_path / "one.png", torch.zeros(3, 8, 8, dtype=torch.uint8))
    for label in range(classes):
        (root / str(label)).mkdir(parents=True)
        for number in range(images):
            os.link(tmp_path / "one.png", root / str(label) / f"{number}.png")
    dataset = plugins.dataset(f"folder:{root}?size=8")
    info = dataset.info(data)
    assert (info.validation_images, info.confirmation_images) == (held_out, held_out)
    assert info.batch_sizes == batch_sizes
    assert min(info.std) > 0  # of images that are black throughout
    labels = dataset.load(data, "train").labels
    parts = split(labels, seed=0, validation=held_out, confirmation=held_out)
    for part in (parts.train, parts.validation, parts.confirmation):
        assert len(np.unique(labels[part])) == classes


def test_a_name_means_the_same_from_every_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert plugins.settled_dataset("folder:a/../b/") == f"folder:{tmp_path}/b"
    assert plugins.settled_dataset("folder:b?size=32") == f"folder:{tmp_path}/b"
    assert plugins.settled_dataset("folder:b?size=64") == f"folder:{tmp_path}/b?size=64"
    assert plugins.settled_dataset(f"folder:{tmp_path}/b?size=64") == f"folder:{tmp_path}/b?size=64"
    assert plugins.settled_dataset("folder:~") == f"folder:{Path.home()}"
    assert plugins.settled_dataset("digits") == "digits"


@pytest.mark.parametrize("name", ["pictures", "my pictures (2)", "写真", "..x..", "-a-", "x" * 200, "/"])
def test_a_study_is_named_after_the_folder_and_legally_so(name: str, tmp_path: Path) -> None:
    label = plugins.dataset_label(f"folder:{tmp_path}/{name}")
    assert checked_name(f"part1-{label}", "study") == f"part1-{label}"
    assert name != "pictures" or label == "pictures"
    assert name != "my pictures (2)" or label == "my-pictures-2"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("folder", "needs an argument: folder:PATH"),
        ("folder:", "needs an argument: folder:PATH"),
        ("folder:?size=32", "needs the path of a folder"),
        ("folder:x?size=0", "size is a number of pixels, 8 to 1024"),
        ("folder:x?size=big", "size is a number of pixels, 8 to 1024"),
        ("folder:x?sise=32", "unknown setting 'sise'; known: size"),
        ("folder:~nobody-of-that-name/x", "cannot be used as a path"),
        ("folder:\udcff", "cannot be used as a path"),
        ("digits:x", "the data set 'digits' takes no argument"),
        ("foldr:x", "unknown data set 'foldr'; known: folder, "),
    ],
)
def test_impossible_names_are_refused(name: str, says: str) -> None:
    for use in (plugins.dataset, plugins.settled_dataset, plugins.dataset_label):
        with pytest.raises(InvalidInput, match=re.escape(says)):
            use(name)


def test_a_folder_called_like_a_setting_is_that_folder(tmp_path: Path) -> None:
    for name in ("a?size=64", "a?x=1", "a?", "b"):
        settled = family.settled(f"{tmp_path}/{name}?size=32")
        assert family.settled(settled) == settled
        with pytest.raises(MissingInput, match=re.escape(f"there is no folder {tmp_path}/{name}")):
            family.member(settled).check(tmp_path)
    with pytest.raises(InvalidInput, match=r"If the folder is called so, write 'folder:a\?x=1\?size=32'"):
        family.settled("a?x=1")
