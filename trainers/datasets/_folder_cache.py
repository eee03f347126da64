"""What a folder of images comes to once it is decoded, kept below the data folder.

    DATA/folders/NAME-1a2b3c4d-<digest>/train.npy test.npy   uint8 N×3×S×S
                                        facts.json           whose content it is; written last

The name says where the images lie and at which size, and the digest what lay there: a changed folder is another name.
"""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Literal, final

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from orchestrator.contracts import LeftOut
from orchestrator.errors import BadData, InvalidInput
from orchestrator.support.activity import bar_or, on_terminal
from orchestrator.support.atomic_files import disk_errors, sync_folder
from orchestrator.support.disk_lookups import content, is_file, names_in
from orchestrator.support.serialization import canonical, from_plain, parse, to_plain
from orchestrator.support.wording import damage_refusal, listed_damage, several, shown
from trainers.datasets._decoders import Images
from trainers.datasets._decoding import decoding
from trainers.datasets._listing import ImageFile, Listing, listing
from trainers.support.download import Checksum

Part = Literal["train", "test"]

_FORMAT = 2  # to be raised when the same files would be decoded otherwise
_BLOCK = 128  # images decoded at a time
_ASIDE = ".part"
_LOCK = "lock"  # of what is aside, held by the process that makes it
_DARKEST_STD = 1 / 255  # of a channel that is the same everywhere: normalisation divides by it


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The content of facts.json."""

    format: int
    folder: str
    size: int  # pixels
    classes: tuple[str, ...]
    images: Mapping[str, int]  # part -> images
    sha256: Mapping[str, str]  # part -> of its .npy file
    mean: tuple[float, ...]  # per channel, of the training images, on the scale 0..1
    std: tuple[float, ...]
    damaged: Mapping[str, str] = field(default_factory=dict)  # name of a file that was left out -> why
    digest: str = ""  # sha256 of all this, which shows where it was altered; "" in files of before, which are made again

    def content_digest(self) -> str:
        """What `digest` should be."""
        return hashlib.sha256(canonical(replace(self, digest="")).encode("utf-8", "surrogatepass")).hexdigest()


@final
class FolderCache:
    """The decoded images of `root` at one size, made when they are first asked for, and again when the folder has changed.

    With `skip`, damaged files are left out; without it they are refused, all at once.
    Raises InvalidInput where the data folder lies in `root`: what is kept would be taken for a class.
    """

    def __init__(self, *, root: Path, size: int, skip: bool, name: str, data_folder: Path) -> None:
        if data_folder.resolve().is_relative_to(root.resolve()):
            raise InvalidInput(
                f"the data folder {data_folder} lies among the images of folder:{root}, where only classes can be: "
                "put it elsewhere, with --data-dir"
            )
        self._root = root
        self._size = size
        self._skip = skip
        self._folders = data_folder / "folders"

        def stem(form: int) -> str:
            settings = f"{form}\0{size}\0" + ("skip\0" if skip else "")
            return f"{name}-{hashlib.sha256(settings.encode() + os.fsencode(root)).hexdigest()[:8]}"

        self._stem = stem(_FORMAT)
        self._former = tuple(stem(form) for form in range(1, _FORMAT))

    def facts(self) -> Facts:
        """Classes, numbers and statistics. Raises MissingInput, BadData or DiskError."""
        return self._found(listing(self._root))[1]

    def files(self, part: Part) -> Sequence[ImageFile]:
        """The files of a part, in the order of its images. Raises as `facts`."""
        listed = listing(self._root)
        return _files(listed, self._found(listed)[1], part)

    def left_out(self) -> LeftOut:
        """Which files are none of the images. Raises as `facts`."""
        listed = listing(self._root)
        damaged = dict(sorted({**listed.unreadable, **self._found(listed)[1].damaged}.items()))
        return LeftOut(
            damaged={shown(name): why for name, why in damaged.items()}, others=tuple(shown(name) for name in listed.others)
        )

    def check(self) -> Path:
        """Check that the decoded images are those of the folder as it is now, and return their location. Raises as `facts`."""
        listed = listing(self._root)
        place, _ = self._found(listed)
        return place if _whole(place) else self._make(listed)

    def load(self, part: Part) -> tuple[Images, Sequence[ImageFile]]:
        """The images of one part, uint8 N×3×S×S, and their files. Raises as `facts`."""
        listed = listing(self._root)
        place, facts = self._found(listed)
        images = _read(place, facts, part)
        if images is None:  # damaged: what it was made of is there
            place = self._make(listed)
            images = _read(place, _facts(place), part)
        if images is None:
            raise BadData(f"{place} was damaged while it was read: delete it")
        return images, _files(listed, facts, part)

    def _found(self, listed: Listing) -> tuple[Path, Facts]:
        place = self._place(listed)
        try:
            facts = _facts(place)
        except BadData:
            place = self._make(listed)
            facts = _facts(place)
        if listed.unreadable and not self._skip:  # they came after the others were decoded
            raise damage_refusal(self._root, listed.unreadable)
        return place, facts

    def _place(self, listed: Listing) -> Path:
        return self._folders / f"{self._stem}-{listed.digest[:16]}"

    def _make(self, listed: Listing) -> Path:
        """Decode aside, then rename; what was made of an earlier state of the folder, or was left by a kill, is deleted."""
        place = self._place(listed)
        try:
            listed.without(())
        except BadData:  # too few, perhaps because the others are of a format that cannot be read
            if listed.unreadable and not self._skip:
                raise damage_refusal(self._root, listed.unreadable) from None
            raise
        with disk_errors(f"write {place}"):
            self._folders.mkdir(parents=True, exist_ok=True)
            aside = self._folders / f"{self._stem}-{secrets.token_hex(8)}{_ASIDE}"
            aside.mkdir()
            try:
                with (aside / _LOCK).open("xb") as held:
                    fcntl.flock(held, fcntl.LOCK_EX)
                    self._fill(aside, listed)
                    if listing(self._root) != listed:
                        raise BadData(f"{shown(self._root)} changed while it was read: try again when it is complete")
                    (aside / _LOCK).unlink()
                    _put(aside, place)
                sync_folder(self._folders)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        stems = tuple(f"{stem}-" for stem in (self._stem, *self._former))
        for old in [self._folders / name for name in names_in(self._folders) if name.startswith(stems)]:
            with contextlib.suppress(OSError):  # another process may clear away the same
                if old != place and (old.suffix != _ASIDE or _abandoned(old)):
                    shutil.rmtree(old)
        return place

    def _fill(self, folder: Path, listed: Listing) -> None:
        sha256, statistics, damaged = self._decode(folder, listed)
        kept = self._check_damage(listed, damaged)
        if {"train": len(kept.train), "test": len(kept.test)} != {part: found.images for part, found in statistics.items()}:
            sha256, statistics, _ = self._decode(folder, kept)  # an image of a class that had none left is for the test now
        mean, std = statistics["train"].mean_and_std()
        facts = Facts(
            format=_FORMAT,
            folder=shown(self._root),
            size=self._size,
            classes=listed.classes,
            images={part: counted.images for part, counted in statistics.items()},
            sha256=sha256,
            mean=mean,
            std=std,
            damaged=damaged,
        )
        facts = replace(facts, digest=facts.content_digest())
        with (folder / "facts.json").open("xb") as stream:
            stream.write((json.dumps(to_plain(facts), indent=1) + "\n").encode())  # ASCII: a name may be no UTF-8
            _sync(stream)

    def _decode(self, folder: Path, listed: Listing) -> "tuple[dict[str, str], dict[str, _Statistics], dict[str, str]]":
        """Write the images of both parts. Returns of each its sha256 and its statistics; and what is damaged, and why."""
        sha256: dict[str, str] = {}
        statistics: dict[str, _Statistics] = {}
        damaged: dict[str, str] = {}
        parts = {"train": listed.train, "test": listed.test}
        with decoding(self._size, len(listed.train) + len(listed.test)) as decode:
            for part, files in parts.items():
                statistics[part] = _Statistics()
                with (folder / f"{part}.npy").open("w+b") as stream:
                    stream.write(_header(len(files), self._size))
                    for first in self._blocks(part, len(files)):
                        names = {self._root / image.name: image.name for image in files[first : first + _BLOCK]}
                        block = decode(list(names))
                        damaged |= {names[file]: why for file, why in block.damaged.items()}
                        stream.write(block.images.data)
                        statistics[part].add(block.images)
                    stream.seek(0)
                    stream.write(_header(statistics[part].images, self._size))  # as long as the first one
                    stream.seek(0)
                    sha256[part] = hashlib.file_digest(stream, "sha256").hexdigest()
                    _sync(stream)
        return sha256, statistics, damaged

    def _check_damage(self, listed: Listing, damaged: Mapping[str, str]) -> Listing:
        """What is left without damaged files. Raises BadData where they are not left out, or leave too little of a class."""
        if not self._skip and (found := {**listed.unreadable, **damaged}):
            raise damage_refusal(self._root, found)
        try:
            return listed.without(damaged)
        except BadData as error:
            raise BadData(f"{error}; {several(len(damaged), 'damaged file')} left out:", items=listed_damage(damaged)) from None

    def _blocks(self, part: str, images: int) -> Iterator[int]:
        """The first number of each block of images; on a terminal with a bar."""
        console = Console(stderr=True)
        description = f"reading {escape(shown(self._root.name))}, {part}"
        done = 0
        with bar_or(lambda: f"reading {shown(self._root.name)}, {part}: {done:,} of {images:,} images"):
            for first in track(range(0, images, _BLOCK), description, console=console, disable=not on_terminal()):
                done = first
                yield first


@final
class _Statistics:
    """Mean and standard deviation per channel, exact: sums of whole numbers."""

    def __init__(self) -> None:
        self.images = 0
        self._pixels = 0
        self._sum = np.zeros(3, dtype=np.int64)
        self._squares = np.zeros(3, dtype=np.int64)

    def add(self, images: Images) -> None:
        """Count these images and their pixels."""
        self.images += images.shape[0]
        self._pixels += images.shape[0] * images.shape[2] * images.shape[3]
        self._sum += images.sum(axis=(0, 2, 3), dtype=np.int64)
        self._squares += np.square(images, dtype=np.int32).sum(axis=(0, 2, 3), dtype=np.int64)

    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """On the scale 0..1."""
        mean = self._sum / self._pixels
        variance = self._squares / self._pixels - mean**2
        std = np.maximum(np.sqrt(np.maximum(variance, 0.0)) / 255, _DARKEST_STD)
        return tuple((mean / 255).tolist()), tuple(std.tolist())


def _files(listed: Listing, facts: Facts, part: Part) -> Sequence[ImageFile]:
    kept = listed.without(facts.damaged)
    return kept.train if part == "train" else kept.test


def _facts(place: Path) -> Facts:
    """Raises BadData, also where there are none, or DiskError."""
    found = content(place / "facts.json")
    if found is None:
        raise BadData(f"{place} holds no images yet")
    facts = from_plain(Facts, parse(found, any_path=True))
    if facts.format != _FORMAT or facts.digest != facts.content_digest():
        raise BadData(f"{place} holds no images of this format, or was altered")
    return facts


def _whole(place: Path) -> bool:
    """Whether what lies there is what was written. Raises DiskError."""
    try:
        facts = _facts(place)
    except BadData:
        return False
    return all(Checksum(algorithm="sha256", digits=digits).fits(place / f"{part}.npy") for part, digits in facts.sha256.items())


def _abandoned(aside: Path) -> bool:
    """Whether the process that made it was killed. Raises OSError where it has no lock: it is begun or renamed at this moment."""
    with (aside / _LOCK).open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _put(aside: Path, place: Path) -> None:
    """Rename, unless another process has put the same there at this moment. Raises OSError."""
    if _whole(place):
        return
    shutil.rmtree(place, ignore_errors=True)
    try:
        aside.rename(place)
    except OSError:
        if not _whole(place):
            raise


def _read(place: Path, facts: Facts, part: Part) -> Images | None:
    """The images of a part, or None where the file is not what was written. Raises DiskError."""
    header = _header(facts.images[part], facts.size)
    file = place / f"{part}.npy"
    if not is_file(file):
        return None
    with disk_errors(f"read {file}"):
        found = np.fromfile(file, dtype=np.uint8)
    if hashlib.sha256(found.data).hexdigest() != facts.sha256[part]:
        return None
    return found[len(header) :].reshape(-1, 3, facts.size, facts.size)


def _header(images: int, size: int) -> bytes:
    """Of an .npy file of uint8 images×3×size×size."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (images, 3, size, size)})
    return stream.getvalue()


def _sync(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())
