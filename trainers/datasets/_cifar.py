"""The CIFAR data sets (Krizhevsky 2009) as they are published: an archive of pickles, in the layout that torchvision uses."""

import hashlib
import pickle
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from orchestrator.contracts import DataSetInfo, DataSetNames, Labelled
from orchestrator.errors import BadData, MissingInput
from orchestrator.support.atomic_files import disk_errors
from orchestrator.support.disk_lookups import is_file
from orchestrator.support.shell_words import command, quoted
from trainers.datasets._image_files import image_files
from trainers.support.download import Checksum, download


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was published: where, and the md5 sums that the authors give."""

    name: str  # the data set's name here
    title: str  # in a user's words
    url: str
    archive_md5: str
    folder: str  # in the archive, and below the data folder
    train: Mapping[str, str]  # file -> md5; the order of the files is that of the images
    test: Mapping[str, str]
    meta: Mapping[str, str]  # the one file that names the classes
    labels_key: str  # of the classes, in the files of images
    names_key: str  # of the classes' names, in the file `meta`

    @property
    def archive(self) -> str:
        """The name of the archive's file."""
        return self.url.rsplit("/", 1)[1]


@final
class Cifar:
    """`FOLDER/cifar-…/FILE`, each file checked by its md5 before it is read.

    The files are pickles, which can run code: only the published bytes are ever unpickled.
    """

    def __init__(self, published: Published, info: DataSetInfo) -> None:
        self._published = published
        self._info = info
        self._archive = Checksum(algorithm="md5", digits=published.archive_md5)
        md5 = {**published.train, **published.test, **published.meta}
        self._files = {name: Checksum(algorithm="md5", digits=digits) for name, digits in md5.items()}

    def info(self, folder: Path) -> DataSetInfo:  # noqa: ARG002 - published facts: no file is read
        """Facts about the images, and defaults for training on them; reads nothing."""
        return self._info

    @property
    def names(self) -> DataSetNames:
        """Classes have names, images have none."""
        return DataSetNames(
            classes=self._class_names, image_files=image_files(size=self._info.size, channels=self._info.channels)
        )

    def _class_names(self, folder: Path) -> Sequence[str]:
        """The names of the classes, in the order of their numbers. Raises MissingInput or BadData."""
        (file,) = self._published.meta
        return tuple(map(str, self._unpickled(folder, file)[self._published.names_key]))

    def check(self, folder: Path) -> None:
        """Check that all files are there and unaltered. Raises MissingInput (both ways to get them) or BadData."""
        for name, checksum in self._files.items():
            path = self._present(folder, name)
            if not checksum.fits(path):
                raise self._altered(folder, path)

    def fetch(self, folder: Path) -> None:
        """Download, check and unpack the archive, unless the files are there. Raises MissingInput, BadData or DiskError.

        An archive that was put into `folder` by hand is used instead of the network.
        """
        if all(checksum.fits(folder / self._published.folder / name) for name, checksum in self._files.items()):
            return
        archive = folder / self._published.archive
        if not self._archive.fits(archive):
            download(self._published.url, archive, self._archive, by_hand=self._by_hand(folder))
        self._unpack(archive, folder)

    def load(self, folder: Path, part: Literal["train", "test"]) -> Labelled:
        """uint8 N×3×32×32 and the classes, in the order of the files. Raises MissingInput or BadData."""
        files = self._published.train if part == "train" else self._published.test
        batches = [self._unpickled(folder, file) for file in files]
        images = np.concatenate([np.asarray(batch["data"], dtype=np.uint8) for batch in batches]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([np.asarray(batch[self._published.labels_key], dtype=np.int64) for batch in batches])
        return Labelled(images=images, labels=labels)

    def _unpickled(self, folder: Path, name: str) -> dict[str, Any]:
        path = self._present(folder, name)
        with disk_errors(f"read {path}"):
            content = path.read_bytes()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != self._files[name].digits:
            raise self._altered(folder, path)
        batch: dict[str, Any] = pickle.loads(content, encoding="latin1")
        return batch

    def _present(self, folder: Path, name: str) -> Path:
        path = folder / self._published.folder / name
        if not is_file(path):
            raise MissingInput(f"{self._published.title}: there is no {path}. {self._ways(folder)}")
        return path

    def _altered(self, folder: Path, path: Path) -> BadData:
        return BadData(
            f"{self._published.title}: {path} is truncated or altered (its md5 differs). Delete it. {self._ways(folder)}"
        )

    def _ways(self, folder: Path) -> str:
        fetch = command("data", "fetch", self._published.name, "--data-dir", folder)
        return f"With network: run `{fetch}`. {self._by_hand(folder)}"

    def _by_hand(self, folder: Path) -> str:
        unpack = f"tar -xzf {quoted(self._published.archive)}"
        return f"By hand: download {self._published.url} elsewhere, copy it to {folder} and unpack it there: {unpack}"

    def _unpack(self, archive: Path, folder: Path) -> None:
        """Unpack aside, check every file, and only then rename it.

        Only the content of the files that are wanted is read, under names that this class chooses: nothing in an archive can
        decide where something is written. (`extractall` has its filter against that only from Python 3.11.4 on.)
        """
        target = folder / self._published.folder
        aside = target.with_name(target.name + ".part")
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
                target.mkdir(parents=True, exist_ok=True)
                for name, checksum in self._files.items():
                    if not checksum.fits(aside / name):
                        raise BadData(f"{archive} holds no valid {target.name}/{name}. Delete it. {self._ways(folder)}")
                    (aside / name).replace(target / name)
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    def _extract(self, tar: tarfile.TarFile, name: str, target: Path) -> None:
        """Copy the content of a regular file in the archive. Raises KeyError where there is none of that name."""
        member = tar.getmember(f"{self._published.folder}/{name}")
        content = tar.extractfile(member) if member.isfile() else None
        if content is None:
            raise KeyError(f"{member.name} is no regular file")
        with content, target.open("wb") as stream:
            shutil.copyfileobj(content, stream)
