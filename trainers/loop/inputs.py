"""What a model is given in training: the images of a data set as a recipe augments and prepares them."""

from typing import final

import torch

from orchestrator.contracts import DataSetInfo
from trainers.augmentation.operation import ImageContext
from trainers.augmentation.pipeline import Draws, Pipeline
from trainers.augmentation.transforms import default_transforms, make_operations, resizes
from trainers.loop.hyperparameters import LoopHyperparameters
from trainers.loop.preprocessing import EvaluationTransform, Preprocessing, preprocessing


def preprocessing_of(settings: LoopHyperparameters, info: DataSetInfo) -> Preprocessing:
    """Normalisation and sizes, as settings say. Raises InvalidInput where they do not fit the data set's images."""
    return preprocessing(info, normalisation=settings.normalisation, resize=settings.resize, center_crop=settings.center_crop)


def check_augmentation(settings: LoopHyperparameters, prepared: Preprocessing, info: DataSetInfo) -> None:
    """Raise InvalidInput for transforms that do nothing to the data set's images, or cannot be done to them."""
    images = ImageContext(
        channels=info.channels,
        size=info.size,
        model_size=prepared.size,
        mean=prepared.mean,
        device=torch.device("cpu"),
    )
    make_operations(settings.augmentation or (), images)


@final
class TrainingInputs:
    """Batches of `images`, uint8 N×C×H×H on their device, augmented and then prepared as evaluated images are."""

    def __init__(self, images: torch.Tensor, settings: LoopHyperparameters, prepared: Preprocessing, info: DataSetInfo) -> None:
        transforms = default_transforms(info) if settings.augmentation is None else settings.augmentation
        self._augment = Pipeline(images, transforms, size=prepared.size, mean=prepared.mean)
        evaluation = EvaluationTransform(prepared, images.device)
        self._prepare = evaluation.normalised if any(map(resizes, transforms)) else evaluation

    def draw(self, generator: torch.Generator) -> Draws:
        """What one epoch does to each image, from a generator on the CPU."""
        return self._augment.draw(generator)

    def batch(self, indices: torch.Tensor, draws: Draws) -> torch.Tensor:
        """The images with these indices (int64 B on the device), float32 B×C×S×S."""
        return self._prepare(self._augment.batch(indices, draws))
