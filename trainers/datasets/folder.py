"""A folder of images as a data set, `folder:PATH`: one subfolder per class, images of any size."""

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, final

import numpy as np

from orchestrator.contracts import DataSet, DataSetInfo, DataSetNames, ImageFiles, Labelled, LeftOut
from orchestrator.errors import InvalidInput
from orchestrator.support.disk_lookups import is_file
from orchestrator.support.wording import shown
from trainers.datasets._folder_cache import Facts, FolderCache
from trainers.datasets._image_files import image_files
from trainers.datasets._listing import listing

_SIZE = 32  # pixels
_SMALLEST, _LARGEST = 8, 1024  # pixels
_SETTING = "[A-Za-z_]+=[^/?&]*"
_SETTINGS = re.compile(rf"(?P<path>.*)\?(?P<settings>{_SETTING}(&{_SETTING})*)", re.DOTALL)

# As for CIFAR-100: how hard the images are is unknown.
_TRIAL_EPOCHS, _RETRAIN_EPOCHS = 15, 100
_MOST_VALIDATION = 5_000  # images
_BATCH_SIZES = (4, 8, 16, 32, 64, 128, 256, 512)  # images
_FEWEST_STEPS = 9  # in an epoch, as for the digits
_CHOICES = 4

_SAMPLES = ("sample_submission.csv", "sampleSubmission.csv")  # as competitions call them


@final
class ImageFolder:
    """The images below `root`, made square, `size` pixels wide, and kept so below the data folder; `skip` leaves damaged out."""

    def __init__(self, root: Path, *, size: int, skip: bool) -> None:
        self._root = root
        self._size = size
        self._skip = skip

    def info(self, folder: Path) -> DataSetInfo:
        """What was measured on the images, which are read when they were not yet. Raises as `check` does."""
        cache = self._cache(folder)
        return _info(cache.facts(), skipped=len(cache.left_out().damaged) if self._skip else 0)

    @property
    def names(self) -> DataSetNames:
        """Classes are called as their subfolders, images as their files; those in a flat test/ have no classes."""
        return DataSetNames(
            classes=self._class_names,
            images=self._image_names,
            left_out=self._left_out,
            image_files=image_files(size=self._size),
            unlabelled=self._unlabelled,
        )

    def _class_names(self, folder: Path) -> Sequence[str]:
        """The names of the subfolders, in their order. Raises as `check` does."""
        return self._cache(folder).facts().classes

    def _image_names(self, folder: Path, part: Literal["train", "test"]) -> Sequence[str]:
        """The files' paths in the folder. Raises as `check` does."""
        return tuple(shown(image.name) for image in self._cache(folder).files(part))

    def _left_out(self, folder: Path) -> LeftOut:
        """The files that are none of the images. Raises as `check` does."""
        return self._cache(folder).left_out()

    def _unlabelled(self, folder: Path) -> ImageFiles | None:  # noqa: ARG002 - they are where the user has them
        """The images in a flat test/, and the sample submission beside it. Raises MissingInput, BadData or DiskError."""
        found = listing(self._root).unlabelled
        if found is None:
            return None
        sample = next((self._root / name for name in _SAMPLES if is_file(self._root / name)), None)
        return replace(image_files(size=self._size)(found), sample=sample, skip_damaged=self._skip)

    def check(self, folder: Path) -> None:
        """Check that there are images, and that they are decoded as they are now. Raises MissingInput, BadData or DiskError."""
        self._cache(folder).check()

    def fetch(self, folder: Path) -> None:
        """As `check`: the images are the user's own, there is nowhere to get them from."""
        self.check(folder)

    def load(self, folder: Path, part: Literal["train", "test"]) -> Labelled:
        """uint8 N×3×size×size, in the order of classes and names. Raises as `check` does."""
        images, files = self._cache(folder).load(part)
        return Labelled(images=images, labels=np.array([file.label for file in files], dtype=np.int64))

    def _cache(self, folder: Path) -> FolderCache:
        return FolderCache(root=self._root, size=self._size, skip=self._skip, name=_legal(self._root.name), data_folder=folder)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Argument:
    """What follows `folder:`, taken apart."""

    root: Path
    size: int = _SIZE
    skip: bool = False

    def __str__(self) -> str:
        needs_size = self.size != _SIZE or ("?" in str(self.root) and not self.skip)  # else the name would be read as a setting
        settings = [f"size={self.size}"] * needs_size + ["damaged=skip"] * self.skip
        return f"{self.root}{'?' if settings else ''}{'&'.join(settings)}"


@final
class ImageFolders:
    """All folders of images: `PATH`, `PATH?size=64` for images of 64×64 pixels, `PATH?damaged=skip` without damaged files."""

    argument = "PATH"

    def settled(self, argument: str) -> str:
        """With an absolute path, and the size only where it is needed, so that it means the same from every working directory."""
        return str(_parsed(argument))

    def label(self, argument: str) -> str:
        """The name of the folder itself, made fit for a study's name."""
        return _legal(_parsed(argument).root.name)

    def member(self, argument: str) -> DataSet:
        """The data set at this path. Raises InvalidInput; that the folder exists is checked by its methods."""
        parsed = _parsed(argument)
        return ImageFolder(parsed.root, size=parsed.size, skip=parsed.skip)

    def skipping_damaged(self, argument: str) -> str:
        """The same with `damaged=skip`. Raises InvalidInput."""
        return str(replace(_parsed(argument), skip=True))


def _parsed(argument: str) -> _Argument:
    size, skip = _SIZE, False
    if found := _SETTINGS.fullmatch(argument):
        settings = [setting.split("=") for setting in found["settings"].split("&")]
        for name, value in settings:
            if name == "size":
                if not re.fullmatch("[0-9]{1,4}", value) or not _SMALLEST <= (size := int(value)) <= _LARGEST:
                    raise InvalidInput(f"folder:{argument}: size is a number of pixels, {_SMALLEST} to {_LARGEST}")
            elif name == "damaged":
                if not (skip := value == "skip"):
                    raise InvalidInput(f"folder:{argument}: the only value of damaged is skip: damaged=skip")
            else:
                raise InvalidInput(
                    f"folder:{argument}: unknown setting {name!r}; known: size and damaged, as in "
                    "folder:PATH?size=64&damaged=skip. "
                    f"If the folder is called so, write {shlex.quote(f'folder:{argument}?size={_SIZE}')}"
                )
        if len({name for name, _ in settings}) < len(settings):
            raise InvalidInput(f"folder:{argument}: a setting is given twice")
        argument = found["path"]
    try:
        argument.encode()
        path = Path(argument).expanduser()
    except (UnicodeEncodeError, RuntimeError) as error:
        raise InvalidInput(f"folder:PATH: {argument!a} cannot be used as a path: {error}") from error
    if not argument or "\0" in argument:
        raise InvalidInput("folder:PATH needs the path of a folder with one subfolder per class")
    return _Argument(root=Path(os.path.normpath(path.absolute())), size=size, skip=skip)


def _legal(name: str) -> str:
    """The name without characters that some system does not allow in a folder's name."""
    return re.sub("[^A-Za-z0-9._]+", "-", name).strip("-.")[:32] or "folder"


def _info(facts: Facts, *, skipped: int) -> DataSetInfo:
    train = facts.images["train"]
    # A tenth each, one image of each class at least where they are spread evenly, and never more than CIFAR-100 takes.
    held_out = max(len(facts.classes), min(_MOST_VALIDATION, train // 10))
    fitting = [size for size in _BATCH_SIZES if (train - 2 * held_out) // size >= _FEWEST_STEPS]
    return DataSetInfo(
        classes=len(facts.classes),
        channels=3,
        size=facts.size,
        mean=facts.mean,
        std=facts.std,
        padding=facts.size // 8,  # as much of the image as for CIFAR-100
        flip=True,
        train_images=train,
        validation_images=held_out,
        confirmation_images=held_out,
        batch_sizes=tuple(fitting[-_CHOICES:]) or _BATCH_SIZES[:1],
        trial_epochs=_TRIAL_EPOCHS,
        retrain_epochs=_RETRAIN_EPOCHS,
        skipped_images=skipped,
    )


family = ImageFolders()
