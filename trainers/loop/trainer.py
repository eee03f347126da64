"""The trainer that a model's file makes of the shared training loop.

    trainer = SupervisedTrainer(build=build, hyperparameters=Hyperparameters)

is a complete `trainers/NAME.py`, once it says how the model is built and which hyperparameters it has. With `head="fc"` it
also says what a phase trains that is of the head only: the submodule of that name.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, final

import torch

from orchestrator.contracts import Data, DataSetInfo
from orchestrator.errors import BadData, InvalidInput
from orchestrator.hyperparameters import divide
from orchestrator.recipe import Recipe
from orchestrator.support.seeds import derive
from orchestrator.support.serialization import canonical
from trainers.loop.hyperparameters import LoopHyperparameters
from trainers.loop.inputs import check_augmentation, preprocessing_of
from trainers.loop.phases import trainable_parameters
from trainers.loop.precision import checked_precision, prediction_precision
from trainers.loop.predictor import ModelPredictor
from trainers.loop.preprocessing import ImageShape, Preprocessing
from trainers.loop.random_streams import seeded
from trainers.loop.running_phase import check_run_length
from trainers.loop.training import SupervisedTraining

__all__ = ["ImageShape", "SupervisedTrainer"]


class Build(Protocol):
    """How a model is made: `hyperparameters` is an instance of the trainer's own dataclass."""

    def __call__(self, hyperparameters: Any, classes: int, image: ImageShape) -> torch.nn.Module:
        """A module from float32 images N×channels×size×size to logits N×classes, initialised from torch's own generator."""


class Pretrain(Protocol):
    """How a model that was just built gets the weights that its hyperparameters name, if they name any."""

    def __call__(self, model: torch.nn.Module, hyperparameters: Any, data_folder: Path) -> tuple[str, ...]:
        """Load them into `model`. Returns the names of layers, but the head, that they do not fit.

        Raises MissingInput or BadData.
        """

    def state(self, hyperparameters: Any, data_folder: Path) -> tuple[Any, ...]:
        """What changes when the files of these weights do; read without their content. Raises DiskError."""


@final
class SupervisedTrainer:
    """Implements `contracts.Trainer` for classifiers trained with cross entropy.

    `hyperparameters` is the model's frozen dataclass. Its fields and those of `LoopHyperparameters` are the names that params may
    use. `head` names the submodule that gives the classes; "" where a model has no such part.
    """

    def __init__(self, *, build: Build, hyperparameters: type, pretrain: Pretrain | None = None, head: str = "") -> None:
        shared = _names(hyperparameters) & _names(LoopHyperparameters)
        if shared:
            raise ValueError(
                f"{', '.join(sorted(shared))} belong to the training loop: name the model's hyperparameters otherwise"
            )
        self._build = build
        self._own = hyperparameters
        self._pretrain = pretrain
        self._head = head
        self._fitting: set[str] = set()  # what `check` built before, and found to fit

    @property
    def hyperparameters(self) -> Sequence[type]:
        """The model's dataclass and the loop's."""
        return (self._own, LoopHyperparameters)

    def check(self, recipe: Recipe, info: DataSetInfo, data_folder: Path) -> None:
        """Build the model, load its weights and pass two black images through it, as a run of this recipe would.

        Raises InvalidInput for params that cannot be used or would have no effect, and MissingInput or BadData for weights.
        """
        own, settings = self._read(recipe.params)
        images = info.train_images - info.validation_images - info.confirmation_images
        if settings.batch_size > images:
            raise InvalidInput(f"batch_size {settings.batch_size} is more than the {images} images that there are to train on")
        check_run_length(settings, recipe.epochs, images // settings.batch_size)
        preprocessing = preprocessing_of(settings, info)
        check_augmentation(settings, preprocessing, info)
        # A plan is checked at each end of each range, and most of them are not of the model: it is built once for all of those.
        weights = self._pretrain.state(own, data_folder) if self._pretrain is not None else ()
        of_model = canonical([own, info.classes, preprocessing.image, settings.phases, settings.batch_size == 1, weights])
        if of_model not in self._fitting:
            self._check_model(own, settings, info.classes, preprocessing.image, data_folder)
            self._fitting.add(of_model)

    def _check_model(self, own: Any, settings: LoopHyperparameters, classes: int, image: ImageShape, data_folder: Path) -> None:
        """Build the model, load its weights and pass black images through it. Raises as `check`."""
        with seeded(0, torch.device("cpu")), torch.inference_mode():
            model, random = self._begin_model(own, classes, image, data_folder)
            for phase in settings.phases:
                trainable_parameters(model, self._head, phase)
                if phase.layers == "head" and random:
                    raise InvalidInput(
                        f"phases: the head cannot be trained alone above {', '.join(random)}, which would stay random: no "
                        "pretrained weights fit there; take the stock stem, or train all layers at once"
                    )
            _check_forward(model, image.channels, image.size, alone=settings.batch_size == 1)

    def begin(self, recipe: Recipe, data: Data, device: str) -> "SupervisedTraining":
        """A run at its very beginning. The model is initialised on the CPU, so that every device begins with the same weights."""
        own, settings = self._read(recipe.params)
        preprocessing = preprocessing_of(settings, data.info)
        with seeded(derive(recipe.seed, "initialisation"), torch.device("cpu")):
            model, _ = self._begin_model(own, data.info.classes, preprocessing.image, data.folder)
        return SupervisedTraining(
            model=model,
            head=self._head,
            settings=settings,
            preprocessing=preprocessing,
            recipe=recipe,
            data=data,
            device=torch.device(device),
            params={**dataclasses.asdict(own), **dataclasses.asdict(settings)},
        )

    def restore(self, snapshot: Mapping[str, Any], device: str) -> ModelPredictor:
        """The predictor that `SupervisedTrainerTraining.snapshot` described. Raises BadData for any other content."""
        try:
            # Only what the model is built from: the settings of its training may have become invalid since.
            named = {name: value for name, value in snapshot["params"].items() if name in _names(self._own)}
            (own,) = divide((self._own,), named)
            preprocessing = Preprocessing.from_plain(snapshot["preprocessing"])
            precision = checked_precision(snapshot["precision"])
            with seeded(0, torch.device("cpu")):
                model = self._build(own, snapshot["classes"], preprocessing.image)
            model.load_state_dict(snapshot["model"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, InvalidInput) as error:
            raise BadData(f"this is not a snapshot of a model of this trainer: {type(error).__name__}: {error}") from error
        where = torch.device(device)
        return ModelPredictor(model, preprocessing, snapshot["classes"], where, prediction_precision(precision, where))

    def _begin_model(
        self, own: Any, classes: int, image: ImageShape, data_folder: Path
    ) -> tuple[torch.nn.Module, tuple[str, ...]]:
        """The model, and the names of its layers, but the head, that pretrained weights do not fit."""
        model = self._build(own, classes, image)
        return model, () if self._pretrain is None else self._pretrain(model, own, data_folder)

    def _read(self, params: Mapping[str, Any]) -> tuple[Any, LoopHyperparameters]:
        own, settings = divide(self.hyperparameters, params)
        return own, settings


def _check_forward(model: torch.nn.Module, channels: int, size: int, *, alone: bool) -> None:
    """Pass two black images through a model, or one as in training where images are `alone` in a step. Raises InvalidInput."""
    try:
        model.train(alone)(torch.zeros(1 if alone else 2, channels, size, size))
    except (RuntimeError, ValueError) as error:
        why = "does not learn from single images" if alone and isinstance(error, ValueError) else "does not fit images"
        raise InvalidInput(f"the model {why} of {size}×{size} pixels: {error}") from error


def _names(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}
