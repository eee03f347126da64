"""Which images lie in a folder, of which classes, and which of them are for the test. No image is opened here."""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import final

from orchestrator.errors import BadData, DiskError, MissingInput
from orchestrator.support.disk_lookups import is_folder, names_in
from orchestrator.support.names import composed

_DECODED = (".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".webp")
# Endings of images that torchvision does not decode: silently leaving one out would change the data set.
_NOT_DECODED = (
    ".avif",
    ".bmp",
    ".dng",
    ".gif",
    ".heic",
    ".heif",
    ".ico",
    ".jp2",
    ".jxl",
    ".pbm",
    ".pgm",
    ".pnm",
    ".ppm",
    ".psd",
    ".svg",
    ".tga",
    ".tif",
    ".tiff",
)
_MOST_BYTES = 256 << 20  # of an image file

_FEWEST_CLASSES = 2
_FEWEST_TRAIN = 4  # images of a class: validation and confirmation take one each
_TEST_SHARE = 10  # one in so many images is for the test, where the folder does not say which


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """One image: `name` is its path in the folder, with `/`."""

    name: str
    label: int
    size: int  # bytes
    modified: int  # nanoseconds since 1970-01-01 UTC


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The images of a folder, each part in the order of the classes and of the files' names."""

    root: Path
    classes: tuple[str, ...]
    train: tuple[ImageFile, ...]
    test: tuple[ImageFile, ...]
    unreadable: Mapping[str, str]  # name of an image that is never decoded -> why: a sentence without its subject
    others: tuple[str, ...] = field(compare=False)  # names of hidden files and of files that are no images

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that differ when a file was added, removed, renamed, or written to."""
        digest = hashlib.sha256()
        for part, images in (("train", self.train), ("test", self.test)):
            for image in images:
                digest.update(os.fsencode(f"{part}\0{image.name}\0{image.size}\0{image.modified}\n"))
        return digest.hexdigest()

    def without(self, names: Container[str]) -> "Listing":
        """The same without the images of these names. Raises BadData where too few are left of a class."""
        train, test = (tuple(image for image in part if image.name not in names) for part in (self.train, self.test))
        for label, name in enumerate(self.classes):
            _check_class(self.root, name, *(sum(image.label == label for image in part) for part in (train, test)))
        return replace(self, train=train, test=test)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    path: Path
    name: str
    is_folder: bool
    size: int
    modified: int


def shown(path: Path | str) -> str:
    """A path as a message may quote it, whatever bytes its name is made of."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def listing(root: Path) -> Listing:
    """The images of `root`: one subfolder per class, or train/ and test/ with one subfolder per class each.

    Without train/ and test/, a tenth of each class is for the test: the images whose names have the smallest sha256, so that
    neither the order on the disk nor the other classes decide. Hidden files, and files without an image's ending, are no images.
    Raises MissingInput where there is no such folder; BadData, with the name of what is wrong.
    """
    if not is_folder(root):
        hint = _written_otherwise(root)
        raise MissingInput(f"there is no folder {shown(root)}: a data set folder:PATH has one subfolder per class in PATH{hint}")
    found = _Found(root)
    top = {entry.name: entry for entry in found.entries(root) if entry.is_folder}
    if {"train", "test"} <= top.keys() and any(entry.is_folder for entry in found.entries(top["train"].path)):
        train, test = found.by_class(top["train"].path), found.by_class(top["test"].path)
        if different := sorted(train.keys() ^ test.keys()):
            raise BadData(f"{shown(root)}: train/ and test/ have different classes; only one of them has {_quoted(different)}")
    else:
        train, test = _divided(found.by_class(root))
    if len(train) < _FEWEST_CLASSES:
        raise BadData(
            f"{shown(root)} has {len(train)} subfolders: a data set has one per class, and at least {_FEWEST_CLASSES} classes"
        )
    return Listing(
        root=root,
        classes=tuple(train),
        train=tuple(_labelled(root, train)),
        test=tuple(_labelled(root, test)),
        unreadable=found.unreadable,
        others=tuple(sorted(found.others)),
    )


def _written_otherwise(root: Path) -> str:
    """A hint, where there is a folder whose name only looks the same; else ""."""
    with contextlib.suppress(DiskError):
        for name in names_in(root.parent):
            if name != root.name and composed(name) == composed(root.name):
                return f". Its name is written {name!a} on the disk, and {root.name!a} here"
    return ""


@final
class _Found:
    """What was met on the way through a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.unreadable: dict[str, str] = {}
        self.others: set[str] = set()

    def by_class(self, folder: Path) -> dict[str, list[_Entry]]:
        """The images of each class, both in the order of their names. Raises BadData."""
        entries = self.entries(folder)
        classes = {name: list(self._images(entry.path)) for name, entry in _classes(folder, entries).items()}
        beside = [entry for entry in entries if not entry.is_folder and self._is_image(entry)]
        if classes and beside:
            raise BadData(f"{shown(beside[0].path)} lies beside the folders of the classes: move it into one of them")
        return classes

    def _images(self, folder: Path) -> Iterator[_Entry]:
        for entry in self.entries(folder):
            if entry.is_folder:
                raise BadData(
                    f"{shown(entry.path)} is a folder in the class {folder.name!r}: a class is one folder of images; below "
                    f"{shown(self._root)} are the classes, or train/ and test/ with the classes in each"
                )
            if self._is_image(entry):
                yield entry

    def _is_image(self, entry: _Entry) -> bool:
        ending = entry.path.suffix.lower()
        why = ""
        if ending in _NOT_DECODED:
            why = "is of a format that cannot be read (convert it to PNG, JPEG or WebP)"
        elif ending not in _DECODED:
            self.others.add(self._name(entry.path))
        elif entry.size > _MOST_BYTES:
            why = f"has {entry.size:,} bytes, more than any image that is read here"
        if why:
            self.unreadable[self._name(entry.path)] = why
        return ending in _DECODED and not why

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def entries(self, folder: Path) -> list[_Entry]:
        """What lies in a folder and is not hidden, by name. Raises BadData for links out of it, for pipes and the like."""
        found = []
        root = self._root
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    path = folder / entry.name
                    if entry.name.startswith("."):
                        self.others.add(self._name(path))
                        continue
                    if entry.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
                        raise BadData(f"{shown(path)} is a link that leads out of {shown(root)}: replace it with a copy")
                    status = entry.stat()
                    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                        raise BadData(f"{shown(path)} is neither a file nor a folder: remove it")
                    found.append(
                        _Entry(
                            path=path,
                            name=entry.name,
                            is_folder=stat.S_ISDIR(status.st_mode),
                            size=status.st_size,
                            modified=status.st_mtime_ns,
                        )
                    )
        except (FileNotFoundError, RuntimeError) as error:  # a link that leads nowhere; a circle of links is a RuntimeError
            raise BadData(f"{shown(folder)} cannot be read: {getattr(error, 'strerror', None) or error}") from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise BadData(f"{shown(folder)} cannot be read: {error.strerror}") from error
            raise DiskError(f"cannot read {shown(folder)}: {error.strerror or error}") from error
        return sorted(found, key=lambda entry: (os.fsencode(composed(entry.name)), os.fsencode(entry.name)))


def _classes(folder: Path, entries: Sequence[_Entry]) -> dict[str, _Entry]:
    """The folder of each class, whose name is compared as it looks, not as a system writes its accents."""
    found: dict[str, _Entry] = {}
    for entry in entries:
        if entry.is_folder and (other := found.setdefault(composed(_utf8(entry)), entry)) is not entry:
            raise BadData(
                f"{shown(folder)}: two folders have the same name, with its accents written in two ways, "
                f"{other.name!a} and {entry.name!a}; rename one, or make them one"
            )
    return found


def _utf8(entry: _Entry) -> str:
    try:
        entry.name.encode()
    except UnicodeEncodeError as error:
        raise BadData(f"{shown(entry.path)}: the name of a class must be UTF-8; rename the folder") from error
    return entry.name


def _divided(classes: Mapping[str, list[_Entry]]) -> tuple[dict[str, list[_Entry]], dict[str, list[_Entry]]]:
    """A stratified tenth of the images, one of each class at least, is for the test."""
    train, test = {}, {}
    for name, images in classes.items():
        by_hash = sorted(images, key=_hash)
        held_out = {image.name for image in by_hash[: max(1, round(len(images) / _TEST_SHARE))]}
        train[name] = [image for image in images if image.name not in held_out]
        test[name] = [image for image in images if image.name in held_out]
    return train, test


def _hash(image: _Entry) -> bytes:
    """What decides whether an image is for the test: the same on every system."""
    return hashlib.sha256(os.fsencode(composed(f"{image.path.parent.name}/{image.name}"))).digest()


def _check_class(root: Path, name: str, train: int, test: int) -> None:
    if train < _FEWEST_TRAIN or not test:
        raise BadData(
            f"{shown(root)}: the class {name!r} has {train} images to train on and {test} for the test; "
            f"at least {_FEWEST_TRAIN} and 1 are needed (PNG, JPEG or WebP)"
        )


def _labelled(root: Path, classes: Mapping[str, Sequence[_Entry]]) -> Iterator[ImageFile]:
    for label, images in enumerate(classes.values()):
        for image in images:
            name = image.path.relative_to(root).as_posix()
            yield ImageFile(name=name, label=label, size=image.size, modified=image.modified)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (" …" if len(names) > 5 else "")
