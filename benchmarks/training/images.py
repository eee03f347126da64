"""The real images that both sides work on: the same ones, in the same order."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.plain_loop import Files
from benchmarks.training.setting import Setting
from orchestrator import plugins
from orchestrator.contracts import Data, DataSetInfo, Labelled
from orchestrator.recipe import Split
from orchestrator.worker.splits import split


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """CIFAR-100's training file, divided as every study divides it."""

    labelled: Labelled
    info: DataSetInfo
    train: Sequence[int]  # places in the file: 40,000
    validation: Sequence[int]  # 5,000
    setting: Setting

    @property
    def files(self) -> Files:
        """For the plain loop, which reads them itself."""
        return Files(folder=self.setting.folder, mean=self.info.mean, std=self.info.std)

    def data(self, *, train: int, validation: int) -> Data:
        """For the shared loop: the first so many images of either part, on the device."""
        device = self.setting.device

        def part(places: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
            chosen = list(places)
            images, labels = self.labelled.images[chosen], self.labelled.labels[chosen]
            return torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)

        train_images, train_labels = part(self.train[:train])
        validation_images, validation_labels = part(self.validation[:validation])
        return Data(
            train_images=train_images,
            train_labels=train_labels,
            validation_images=validation_images,
            validation_labels=validation_labels,
            info=self.info,
            folder=self.setting.folder,
        )


def read(setting: Setting) -> Images:
    """Read and divide them. Raises MissingInput or BadData."""
    source = plugins.dataset("cifar100")
    info, labelled = source.info(setting.folder), source.load(setting.folder, "train")
    parts = split(
        labelled.labels,
        seed=Split().seed,
        validation=info.validation_images,
        confirmation=info.confirmation_images,
    )
    return Images(
        labelled=labelled,
        info=info,
        train=parts.train.tolist(),
        validation=parts.validation.tolist(),
        setting=setting,
    )
