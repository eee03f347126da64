"""The 1,797 handwritten digits that scikit-learn ships: real images, to try everything without a download."""

from importlib.metadata import distribution
from pathlib import Path
from typing import Literal, final

import numpy as np

from orchestrator.contracts import DataSetInfo, DataSetNames, Labelled
from trainers.datasets._image_files import image_files

_SIZE = 8  # pixels
_WHITE = 16  # the brightest value of the images
_TEST_EVERY, _TEST_FIRST = 10, 5


@final
class Digits:
    """8×8 pixels, one channel, ten classes. Every tenth image of each class, in the order of the file, is for the test."""

    names = DataSetNames(image_files=image_files(size=_SIZE, channels=1))

    def info(self, folder: Path) -> DataSetInfo:  # noqa: ARG002 - the images come with scikit-learn
        """Facts about the images, and defaults for training on them; reads nothing."""
        return DataSetInfo(
            classes=10,
            channels=1,
            size=_SIZE,
            mean=(0.30545,),
            std=(0.37603,),
            padding=1,  # a pixel is an eighth of the image
            flip=False,  # a mirrored 2 is no 2
            train_images=1618,
            validation_images=180,
            confirmation_images=180,
            batch_sizes=(32, 64, 128),  # 39 to 9 steps in an epoch
            trial_epochs=5,
            retrain_epochs=15,
        )

    def check(self, folder: Path) -> None:
        """The images come with scikit-learn: `folder` is not used."""

    def fetch(self, folder: Path) -> None:
        """The images come with scikit-learn: `folder` is not used."""

    def load(self, folder: Path, part: Literal["train", "test"]) -> Labelled:  # noqa: ARG002 - see `check`
        """uint8 N×1×8×8, black 0 and white 255, in the order of scikit-learn's file."""
        # The file that load_digits of scikit-learn reads: importing scikit-learn takes a worker as long as torch does.
        file = str(distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz"))
        table = np.loadtxt(file, delimiter=",")
        images = np.rint(table[:, :-1] * (255 / _WHITE)).astype(np.uint8).reshape(-1, 1, _SIZE, _SIZE)
        labels = table[:, -1].astype(np.int64)
        held_out = np.zeros(len(labels), dtype=bool)
        for digit in range(10):
            held_out[np.flatnonzero(labels == digit)[_TEST_FIRST::_TEST_EVERY]] = True
        chosen = held_out if part == "test" else ~held_out
        return Labelled(images=images[chosen], labels=labels[chosen])


dataset = Digits()
