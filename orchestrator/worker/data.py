"""The images that a worker keeps on its device for all of its jobs."""

from pathlib import Path
from typing import final

import numpy as np

from orchestrator.contracts import Data
from orchestrator.data_identity import DataIdentity, DataReading, read_data
from orchestrator.errors import BadData
from orchestrator.recipe import Split
from orchestrator.worker.splits import split


@final
class DeviceData:
    """The data of a worker: read once, split once, and kept on the device for all jobs that share data set and split."""

    def __init__(self, folder: Path, device: str) -> None:
        self._folder = folder
        self._device = device
        self._key: tuple[str, Split] | None = None
        self._data: tuple[Data, DataIdentity] | None = None

    def data(self, dataset: str, how: Split) -> tuple[Data, DataIdentity]:
        """The training and validation images on the device, and what was read of the data set to get them."""
        if self._data is None or self._key != (dataset, how):
            self._data = None  # room for the new one first
            self._data = self._load(dataset, how)
            self._key = (dataset, how)
        return self._data

    def test(self, trained_on: DataIdentity) -> DataReading:
        """The test images of the data set that a model was trained on. Raises BadData where it is another one by now."""
        found = read_data(trained_on.dataset, self._folder, "test")
        if what := trained_on.difference(found.identity):
            raise BadData(f"{trained_on.dataset} has changed since the training began: {what}")
        return found

    def _load(self, dataset: str, how: Split) -> tuple[Data, DataIdentity]:
        import torch

        reading = read_data(dataset, self._folder, "train")
        read, info = reading.parts["train"], reading.info
        parts = split(read.labels, seed=how.seed, validation=info.validation_images, confirmation=info.confirmation_images)
        train = parts.train if how.train_on == "train" else np.sort(np.concatenate([parts.train, parts.confirmation]))

        def resident(indices: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
            images = torch.from_numpy(read.images[indices]).to(self._device)
            labels = torch.from_numpy(read.labels[indices].astype(np.int64)).to(self._device)
            return images, labels

        train_images, train_labels = resident(train)
        validation_images, validation_labels = resident(parts.validation)
        data = Data(
            train_images=train_images,
            train_labels=train_labels,
            validation_images=validation_images,
            validation_labels=validation_labels,
            info=info,
            folder=self._folder,
        )
        return data, reading.identity
