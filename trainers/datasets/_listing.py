"""Which images lie in a folder, of which classes, and which of them are for the test. No image is opened here."""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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

    classes: tuple[str, ...]
    train: tuple[ImageFile, ...]
    test: tuple[ImageFile, ...]

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that differ when a file was added, removed, renamed, or written to."""
        digest = hashlib.sha256()
        for part, images in (("train", self.train), ("test", self.test)):
            for image in images:
                digest.update(os.fsencode(f"{part}\0{image.name}\0{image.size}\0{image.modified}\n"))
        return digest.hexdigest()


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
    neither the order on the disk nor the other classes decide. Hidden files, and files without an image's ending, are left out.
    Raises MissingInput where there is no such folder; BadData, with the name of what is wrong.
    """
    if not is_folder(root):
        hint = _written_otherwise(root)
        raise MissingInput(f"there is no folder {shown(root)}: a data set folder:PATH has one subfolder per class in PATH{hint}")
    top = {entry.name: entry for entry in _entries(root, root) if entry.is_folder}
    if {"train", "test"} <= top.keys() and any(entry.is_folder for entry in _entries(top["train"].path, root)):
        train, test = _by_class(top["train"].path, root), _by_class(top["test"].path, root)
        if different := sorted(train.keys() ^ test.keys()):
            raise BadData(f"{shown(root)}: train/ and test/ have different classes; only one of them has {_quoted(different)}")
    else:
        train, test = _divided(_by_class(root, root))
    _check(root, train, test)
    return Listing(
        classes=tuple(train),
        train=tuple(_labelled(root, train)),
        test=tuple(_labelled(root, test)),
    )


def _written_otherwise(root: Path) -> str:
    """A hint, where there is a folder whose name only looks the same; else ""."""
    with contextlib.suppress(DiskError):
        for name in names_in(root.parent):
            if name != root.name and composed(name) == composed(root.name):
                return f". Its name is written {name!a} on the disk, and {root.name!a} here"
    return ""


def _by_class(folder: Path, root: Path) -> dict[str, list[_Entry]]:
    """The images of each class, both in the order of their names."""
    entries = _entries(folder, root)
    classes = {name: list(_images(entry.path, root)) for name, entry in _classes(folder, entries).items()}
    beside = [entry for entry in entries if not entry.is_folder and _is_image(entry)]
    if classes and beside:
        raise BadData(f"{shown(beside[0].path)} lies beside the folders of the classes: move it into one of them")
    return classes


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


def _images(folder: Path, root: Path) -> Iterator[_Entry]:
    for entry in _entries(folder, root):
        if entry.is_folder:
            raise BadData(
                f"{shown(entry.path)} is a folder in the class {folder.name!r}: a class is one folder of images; below "
                f"{shown(root)} are the classes, or train/ and test/ with the classes in each"
            )
        if _is_image(entry):
            yield entry


def _is_image(entry: _Entry) -> bool:
    ending = entry.path.suffix.lower()
    if ending in _NOT_DECODED:
        raise BadData(f"{shown(entry.path)} is of a format that cannot be read; convert it to PNG, JPEG or WebP")
    if ending in _DECODED and entry.size > _MOST_BYTES:
        raise BadData(f"{shown(entry.path)} has {entry.size:,} bytes: larger than any image that is read here")
    return ending in _DECODED


def _entries(folder: Path, root: Path) -> list[_Entry]:
    """What lies in a folder and is not hidden, by name. Raises BadData for links out of `root`, for pipes and the like."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                path = folder / entry.name
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


def _check(root: Path, train: Mapping[str, Sequence[_Entry]], test: Mapping[str, Sequence[_Entry]]) -> None:
    if len(train) < _FEWEST_CLASSES:
        raise BadData(
            f"{shown(root)} has {len(train)} subfolders: a data set has one per class, and at least {_FEWEST_CLASSES} classes"
        )
    for name in train:
        if len(train[name]) < _FEWEST_TRAIN or not test[name]:
            raise BadData(
                f"{shown(root)}: the class {name!r} has {len(train[name])} images to train on and {len(test[name])} for the "
                f"test; at least {_FEWEST_TRAIN} and 1 are needed (PNG, JPEG or WebP)"
            )


def _labelled(root: Path, classes: Mapping[str, Sequence[_Entry]]) -> Iterator[ImageFile]:
    for label, images in enumerate(classes.values()):
        for image in images:
            name = image.path.relative_to(root).as_posix()
            yield ImageFile(name=name, label=label, size=image.size, modified=image.modified)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (" …" if len(names) > 5 else "")
