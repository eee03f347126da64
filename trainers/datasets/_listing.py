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
from orchestrator.support.wording import shown

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
_TEST_SHARE = 10  # one in so many labelled images is for the test, where the folder does not say which
_TRAIN, _TEST = "train", "test"  # folders that are no classes


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
    unlabelled: Path | None = field(default=None, compare=False)  # the folder of images without classes, which are not listed
    divided: bool = False  # whether the test images are a part of each class, which `listing` has chosen

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that differ when a file was added, removed, renamed, or written to."""
        digest = hashlib.sha256()
        for part, images in (("train", self.train), ("test", self.test)):
            for image in images:
                digest.update(os.fsencode(f"{part}\0{image.name}\0{image.size}\0{image.modified}\n"))
        return digest.hexdigest()

    def without(self, names: Container[str]) -> "Listing":
        """The same without the images of these names. Raises BadData where too few are left of a class.

        A class of which no test image is left gets another one, where the test images were chosen here.
        """
        train, test = (tuple(image for image in part if image.name not in names) for part in (self.train, self.test))
        if self.divided and (chosen := _to_test(train, {image.label for image in test})):
            train = tuple(image for image in train if image not in chosen)
            test = tuple(sorted([*test, *chosen], key=_place))
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


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FlatListing:
    """The images that lie in a folder itself, without classes."""

    names: tuple[str, ...]  # of all images, in their order
    unreadable: Mapping[str, str]  # those of them that are never decoded -> why: a sentence without its subject
    others: tuple[str, ...]  # names of hidden files and of files that are no images


def flat_listing(folder: Path) -> FlatListing:
    """The images in a folder that has no folders in it. Raises MissingInput, BadData or DiskError."""
    if not is_folder(folder):
        raise MissingInput(f"there is no folder {shown(folder)}{_written_otherwise(folder)}")
    found = _Found(folder)
    names = []
    for entry in found.entries(folder):
        if entry.is_folder:
            raise BadData(f"{shown(entry.path)} is a folder, where only images without classes can be: give a folder of images")
        if found.is_image(entry) or entry.name in found.unreadable:
            names.append(entry.name)
    if not names:
        raise BadData(f"{shown(folder)} has no images (PNG, JPEG or WebP)")
    return FlatListing(names=tuple(names), unreadable=found.unreadable, others=tuple(sorted(found.others)))


def listing(root: Path) -> Listing:
    """The images of `root`: one subfolder per class, or train/ and test/ with one subfolder per class each.

    Where test/ has images and no subfolders, they are without classes, as those of a competition: beside train/ with its classes,
    or beside two classes at least. They are no part of the data set. Without labelled images in test/, a tenth of each class is
    for the test: the images whose names have the smallest sha256, so that neither the order on the disk nor the other classes
    decide. Hidden files, and files without an image's ending, are no images.
    Raises MissingInput where there is no such folder; BadData, with the name of what is wrong.
    """
    if not is_folder(root):
        hint = _written_otherwise(root)
        raise MissingInput(f"there is no folder {shown(root)}: a data set folder:PATH has one subfolder per class in PATH{hint}")
    found = _Found(root)
    top = {entry.name: entry for entry in found.entries(root) if entry.is_folder}
    unlabelled = top[_TEST].path if _TEST in top and found.is_flat(top[_TEST].path) else None
    divided = True
    if {_TRAIN, _TEST} <= top.keys() and any(entry.is_folder for entry in found.entries(top[_TRAIN].path)):
        train = found.by_class(top[_TRAIN].path)
        divided = unlabelled is not None
        train, test = _divided(train) if divided else (train, found.by_class(top[_TEST].path))
        if different := sorted(train.keys() ^ test.keys()):
            raise BadData(
                f"{shown(root)}: train/ and test/ have different classes; only one of them has {_quoted(different)}. "
                "Images without classes lie in test/ itself"
            )
    elif unlabelled is not None and _TRAIN not in top and len(top) > _FEWEST_CLASSES:
        train, test = _divided(found.by_class(root, without=_TEST))
    else:  # two classes may be called train and test
        unlabelled = None
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
        others=tuple(sorted(name for name in found.others if unlabelled is None or not name.startswith(f"{_TEST}/"))),
        unlabelled=unlabelled,
        divided=divided,
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

    def is_flat(self, folder: Path) -> bool:
        """Whether images lie in a folder itself, and no folders. Raises BadData."""
        entries = self.entries(folder)
        return not any(entry.is_folder for entry in entries) and any(_has_ending(entry.path) for entry in entries)

    def by_class(self, folder: Path, *, without: str = "") -> dict[str, list[_Entry]]:
        """The images of each class, both in the order of their names; the folder `without` is none. Raises BadData."""
        entries = [entry for entry in self.entries(folder) if not (entry.is_folder and entry.name == without)]
        classes = {name: list(self._images(entry.path)) for name, entry in _classes(folder, entries).items()}
        beside = [entry for entry in entries if not entry.is_folder and self.is_image(entry)]
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
            if self.is_image(entry):
                yield entry

    def is_image(self, entry: _Entry) -> bool:
        """Whether a file is an image that can be read. One that cannot is noted, and so is a file that is none."""
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


def _has_ending(path: Path) -> bool:
    """Whether a file is called as an image is, of whatever format."""
    return path.suffix.lower() in (*_DECODED, *_NOT_DECODED)


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
    return _hash_of(f"{image.path.parent.name}/{image.name}")


def _hash_of(name: str) -> bytes:
    """Of a class and a file in it."""
    return hashlib.sha256(os.fsencode(composed(name))).digest()


def _to_test(train: Sequence[ImageFile], have: Container[int]) -> set[ImageFile]:
    """Of each class that has no test image, the training image that `_divided` would take first."""
    first: dict[int, ImageFile] = {}
    for image in sorted(train, key=lambda image: _hash_of("/".join(image.name.split("/")[-2:]))):
        if image.label not in have:
            first.setdefault(image.label, image)
    return set(first.values())


def _place(image: ImageFile) -> tuple[int, bytes, bytes]:
    """Where an image stands in its part."""
    name = image.name.rpartition("/")[2]
    return image.label, os.fsencode(composed(name)), os.fsencode(name)


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
