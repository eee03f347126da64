"""The images that a worker keeps on its device for all of its jobs."""

import hashlib
from pathlib import Path
from typing import final

import numpy as np

from orchestrator import plugins
from orchestrator.contracts import Data
from orchestrator.recipe import Split
from orchestrator.worker.splits import split


@final
class DeviceData:
    """The data of a worker: read once, split once, and kept on the device for all jobs that share data set and split."""

    def __init__(self, folder: Path, device: str) -> None:
        self._folder = folder
        self._device = device
        self._key: tuple[str, Split] | None = None
        self._data: Data | None = None
        self._digest = ""

    def data(self, dataset: str, how: Split) -> tuple[Data, str]:
        """The training and validation images on the device, and the sha256 of all images and labels that were read."""
        if self._data is None or self._key != (dataset, how):
            self._data = None  # room for the new one first
            self._data, self._digest = self._load(dataset, how)
            self._key = (dataset, how)
        return self._data, self._digest

    def test(self, dataset: str) -> tuple[np.ndarray, np.ndarray]:
        """The test images N×C×H×W uint8 and their labels."""
        found = plugins.dataset(dataset).load(self._folder, "test")
        return found.images, found.labels

    def _load(self, dataset: str, how: Split) -> tuple[Data, str]:
        import torch

        source = plugins.dataset(dataset)
        info = source.info(self._folder)
        read = source.load(self._folder, "train")
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
        digest = hashlib.sha256(np.ascontiguousarray(read.images).data)
        digest.update(np.ascontiguousarray(read.labels).data)
        return data, digest.hexdigest()
