"""CIFAR-100 (Krizhevsky 2009): 60,000 colour photographs, 32×32 pixels, 100 classes, in the layout that torchvision uses."""

import hashlib
import pickle
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, final

import numpy as np

from orchestrator.contracts import Labelled, Suits
from orchestrator.errors import BadData, MissingInput
from orchestrator.files import disk_errors
from trainers._download import Checksum, download

# The archive and the md5 sums that its authors publish.
_URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
_ARCHIVE_MD5 = "eb9058c3a382ffc7106e4002c42a8d85"
_FILE_MD5 = MappingProxyType(
    {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    }
)
_FOLDER = "cifar-100-python"
_ARCHIVE = "cifar-100-python.tar.gz"


@final
class Cifar100:
    """`FOLDER/cifar-100-python/{train,test,meta}`, each checked by its md5 before anything in it is believed.

    The files are pickles, which can run code: only the published bytes are ever unpickled. The arguments are where the archive
    is served and what it and its files must be.
    """

    def __init__(self, *, url: str = _URL, archive_md5: str = _ARCHIVE_MD5, file_md5: Mapping[str, str] = _FILE_MD5) -> None:
        self._url = url
        self._archive = Checksum(algorithm="md5", digits=archive_md5)
        self._files = {name: Checksum(algorithm="md5", digits=digits) for name, digits in file_md5.items()}

    @property
    def suits(self) -> Suits:
        """Facts and what suits them; reads nothing."""
        return Suits(
            classes=100,
            channels=3,
            size=32,
            mean=(0.50708, 0.48655, 0.44092),
            std=(0.26733, 0.25644, 0.27615),
            padding=4,
            flip=True,
            train_images=50_000,
            validation_images=5_000,
            confirmation_images=5_000,
            batch_sizes=(64, 128, 256, 512),  # 625 to 78 steps in an epoch
            trial_epochs=15,
            retrain_epochs=100,
        )

    def check(self, folder: Path) -> None:
        """Prove that the files are there and right. Raises MissingInput (both ways to get them) or BadData."""
        for name, checksum in self._files.items():
            path = self._present(folder, name)
            if not checksum.fits(path):
                raise self._altered(folder, path)

    def fetch(self, folder: Path) -> None:
        """Download, check and unpack the archive, unless the files are there. Raises MissingInput, BadData or DiskError.

        An archive that was put into `folder` by hand is used instead of the network.
        """
        if all(checksum.fits(folder / _FOLDER / name) for name, checksum in self._files.items()):
            return
        archive = folder / _ARCHIVE
        if not self._archive.fits(archive):
            download(self._url, archive, self._archive, by_hand=self._by_hand(folder))
        self._unpack(archive, folder)

    def load(self, folder: Path, part: Literal["train", "test"]) -> Labelled:
        """uint8 N×3×32×32 and the fine classes, in the order of the file. Raises MissingInput or BadData."""
        path = self._present(folder, part)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadData(f"{path} cannot be read: {error.strerror or error}") from error
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != self._files[part].digits:
            raise self._altered(folder, path)
        batch: dict[str, Any] = pickle.loads(content, encoding="latin1")
        images = np.ascontiguousarray(batch["data"], dtype=np.uint8).reshape(-1, 3, 32, 32)
        return Labelled(images=images, labels=np.asarray(batch["fine_labels"], dtype=np.int64))

    def _present(self, folder: Path, name: str) -> Path:
        path = folder / _FOLDER / name
        if not path.is_file():
            raise MissingInput(f"CIFAR-100: there is no {path}. {self._ways(folder)}")
        return path

    def _altered(self, folder: Path, path: Path) -> BadData:
        return BadData(f"CIFAR-100: {path} is truncated or altered (its md5 differs). Delete it. {self._ways(folder)}")

    def _ways(self, folder: Path) -> str:
        return f"With network: orchestrate data fetch cifar100 --data-dir {folder}. {self._by_hand(folder)}"

    def _by_hand(self, folder: Path) -> str:
        return f"By hand: download {self._url} elsewhere, copy it to {folder} and unpack it there: tar -xzf {_ARCHIVE}"

    def _unpack(self, archive: Path, folder: Path) -> None:
        """Unpack aside, check every file, and only then put it in place.

        Only the content of the files that are wanted is read, under names of our own: nothing in an archive can decide where
        something is written. (`extractall` has its filter against that only from Python 3.11.4 on.)
        """
        aside = folder / (_FOLDER + ".part")
        with disk_errors(f"unpack {archive}"):
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            try:
                try:
                    with tarfile.open(archive) as tar:
                        for name in self._files:
                            self._extract(tar, name, aside / name)
                except (tarfile.TarError, EOFError, KeyError) as error:
                    raise BadData(f"{archive} cannot be unpacked: {error}. Delete it. {self._ways(folder)}") from error
                (folder / _FOLDER).mkdir(parents=True, exist_ok=True)
                for name, checksum in self._files.items():
                    if not checksum.fits(aside / name):
                        raise BadData(f"{archive} holds no right {_FOLDER}/{name}. Delete it. {self._ways(folder)}")
                    (aside / name).replace(folder / _FOLDER / name)
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    def _extract(self, tar: tarfile.TarFile, name: str, target: Path) -> None:
        """Copy the content of a regular file in the archive. Raises KeyError where there is none of that name."""
        member = tar.getmember(f"{_FOLDER}/{name}")
        content = tar.extractfile(member) if member.isfile() else None
        if content is None:
            raise KeyError(f"{member.name} is no regular file")
        with content, target.open("wb") as stream:
            shutil.copyfileobj(content, stream)


dataset = Cifar100()
