"""What every data set promises (`contracts.DataSet`)."""

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest

from orchestrator import plugins
from orchestrator.contracts import DataSet, DataSetInfo
from orchestrator.worker.splits import split

_PARTS: tuple[Literal["train", "test"], ...] = ("train", "test")


class DataSetConformance:
    """Inherit it, name the data set, and override `folder` where its files do not come by themselves."""

    dataset: ClassVar[str]  # trainers/datasets/NAME.py, found from the working directory
    shares: ClassVar[tuple[float, float, float]]  # of all images: train, validation and confirmation

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """The data folder with the files of the data set."""
        return tmp_path

    @pytest.fixture
    def source(self) -> DataSet:
        """The data set; a member of a family is made here."""
        return plugins.dataset(self.dataset)

    @pytest.fixture
    def info(self, source: DataSet, folder: Path) -> DataSetInfo:
        return source.info(folder)

    def test_images_are_as_the_facts_say(self, source: DataSet, folder: Path, info: DataSetInfo) -> None:
        source.check(folder)
        for part in _PARTS:
            data = source.load(folder, part)
            assert data.images.dtype == np.uint8
            assert data.labels.dtype == np.int64
            assert data.images.shape == (len(data.labels), info.channels, info.size, info.size)
            assert np.array_equal(np.unique(data.labels), np.arange(info.classes))
            again = source.load(folder, part)
            assert np.array_equal(again.images, data.images)
            assert np.array_equal(again.labels, data.labels)

    def test_classes_that_have_names_have_one_each(self, source: DataSet, folder: Path, info: DataSetInfo) -> None:
        if source.names.classes is None:
            pytest.skip("its classes have no names")
        assert len(set(source.names.classes(folder))) == info.classes

    def test_images_that_have_names_have_one_each(self, source: DataSet, folder: Path) -> None:
        if source.names.images is None:
            pytest.skip("its images have no names")
        for part in _PARTS:
            assert len(set(source.names.images(folder, part))) == len(source.load(folder, part).labels)

    def test_an_image_file_is_read_as_the_image_that_it_holds(self, source: DataSet, folder: Path, tmp_path: Path) -> None:
        if source.names.image_files is None:
            pytest.skip("it does not say how it reads image files")
        import torch

        from trainers.preview.png import png

        images = source.load(folder, "test").images[:3]
        files = tmp_path / "image files"
        files.mkdir()
        for number, image in enumerate(images):
            (files / f"{number}.png").write_bytes(png(torch.from_numpy(image).expand(3, -1, -1)))
        found = source.names.image_files(files)
        assert found.names == tuple(f"{number}.png" for number in range(len(images)))
        read = list(found.read(found.names))
        assert [name for part in read for name in part.names] == list(found.names)
        assert np.array_equal(np.concatenate([part.images for part in read]), images)

    def test_statistics_are_those_of_the_training_images(self, source: DataSet, folder: Path, info: DataSetInfo) -> None:
        images = source.load(folder, "train").images
        assert len(images) == info.train_images
        assert images.min() == 0
        assert images.max() == 255
        assert images.mean(axis=(0, 2, 3)) / 255 == pytest.approx(info.mean, abs=6e-6)
        assert images.std(axis=(0, 2, 3)) / 255 == pytest.approx(info.std, abs=6e-6)

    def test_the_split_leaves_every_batch_size_enough_steps(self, source: DataSet, folder: Path, info: DataSetInfo) -> None:
        labels = source.load(folder, "train").labels
        indices = split(labels, seed=0, validation=info.validation_images, confirmation=info.confirmation_images)
        assert len(indices.train) // max(info.batch_sizes) >= 9
        total = len(labels) + len(source.load(folder, "test").labels)
        shares = [len(part) / total for part in (indices.train, indices.validation, indices.confirmation)]
        assert shares == pytest.approx(self.shares, abs=0.002)
