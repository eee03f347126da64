"""The challenge's out-of-distribution test images: their files, and the check of a folder."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from orchestrator.errors import BadData, MissingInput
from orchestrator.support.activity import doing
from orchestrator.support.atomic_files import disk_errors
from orchestrator.support.disk_lookups import is_file
from orchestrator.support.wording import one_line

Images = npt.NDArray[np.uint8]

_ARRAY_OFFSET = 128  # bytes: numpy's header, padded to a multiple of 64
_ARRAY_START = b"\x93NUMPY\x01\x00" + (_ARRAY_OFFSET - 10).to_bytes(2, "little")  # version 1.0, and the bytes that follow


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfDistribution:
    """The geometry of a set of out-of-distribution images.

    Its files are named distortion00.npy, distortion01.npy, …; each holds a uint8 array N×H×W×C: `severities` blocks of
    `images` images, the mildest first. `sha256` has the checksum of each file in order; it is empty if they are unknown.
    """

    files: int
    severities: int
    images: int  # per severity
    height: int  # pixels
    width: int  # pixels
    channels: int
    sha256: tuple[str, ...] = ()
    source: str = ""  # where the files are published

    def __post_init__(self) -> None:
        if self.sha256 and len(self.sha256) != self.files:
            raise ValueError(f"{self.files} files need {self.files} checksums, not {len(self.sha256)}")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the array in each file, N×H×W×C."""
        return (self.severities * self.images, self.height, self.width, self.channels)

    @property
    def file_bytes(self) -> int:
        """The exact size of each file."""
        images, height, width, channels = self.shape
        return _ARRAY_OFFSET + images * height * width * channels

    def file_name(self, file: int) -> str:
        """The name of a file by its number, from 0."""
        return f"distortion{file:02d}.npy"

    def ids(self, files: Iterable[int] | None = None) -> list[str]:
        """The ids of all images of these files (all files if None), ordered by file, severity and image."""
        return [
            f"distortion{file:02d}_{severity}_{image}"
            for file in (range(self.files) if files is None else files)
            for severity in range(1, self.severities + 1)
            for image in range(self.images)
        ]


CHALLENGE = OutOfDistribution(
    files=19,
    severities=5,
    images=10_000,
    height=32,
    width=32,
    channels=3,
    source="github.com/DL4DS/ood-test-files, folder ood-test",
    sha256=(
        "776391036473e944144809983ce9cb0c7831593e84a1be7cf29ccc72f194a120",  # gaussian noise
        "4d661214412045f79fdbc8a5095506e8682a883bcb61693dc17b48a9f7d7a51b",  # shot noise
        "7dcf455178224fb63c956d2f2bd50c1da71c57671ac7f7238610752f91a23e84",  # impulse noise
        "134ab1cb3765e4551b7ee121f099c8dafb88c096f45deee5bee98e96a16c0d61",  # defocus blur
        "4c612859c74e1cf1751763eddaaf55e742650f4f9c67b8321faf47e524707d5b",  # glass blur
        "cb2d7dc6dcbabf3f0ac198397186846ec57985a6c4f4dab10999f17835555233",  # motion blur
        "f0c746dec1c23438fa4e22a90e18eed7b6b96b71fd35776cad709b163bef0a56",  # zoom blur
        "359b96dc23af57c3210fefbd37a007576e8190ac492881920d475517e0ee5647",  # snow
        "9ca999b14435f20b60412cdf9c4d054bad563d656d80cf71795f0a9a3d2271d2",  # frost
        "0a8c65f809028fd7867271988932477e3efb7d781a367927f28674076389bc20",  # fog
        "5a81b1cb9365e6ce853fca57740a4156c6b724e97d95b0673df3820ee2056ab9",  # brightness
        "a838439f52a70006cf20825ef78c59b25574ff77689a97f69056df50e272dddb",  # contrast
        "690437cd574582378fbd57b25923b87d39f7069166e7a319beec6e5b612e2aab",  # elastic transform
        "4fa41f887ffeccc2ab0c3c235345c8dfd8e19d0fcb3cd104d5a274d5ba4d337d",  # pixelate
        "97d3e7fa79f231b4423901965a8f7a992e22831e99735e7cd3bb8bdfbd3ab892",  # JPEG quality 80 65 58 50 40
        "a2b4023cd3126fe90c2fca620f27314fcb1b82c88d16344c3a82345db27221ba",  # speckle noise
        "3b86a720346874b218f2f06a3527b56039a4b9a55c624ea021d9efc78ab01a59",  # gaussian blur
        "73053d163a221d61f7c2840a11bad9ee001e256af5ce737a4a69e6551f2b7c1b",  # spatter
        "8212ef47526c11d851f74eff306948e77dbca72b0229b8ba4d9890f40bf72c27",  # saturate
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFiles:
    """Out-of-distribution files that passed the check: their numbers, ascending, and the names of missing files."""

    folder: Path
    geometry: OutOfDistribution
    present: tuple[int, ...]
    missing: tuple[str, ...]


def check_files(folder: Path, geometry: OutOfDistribution, *, partial: bool = False, verify: bool = False) -> CheckedFiles:
    """Check, before anything is predicted, that the files in `folder` exist and match `geometry`.

    Checks names, sizes and headers, with `verify` also checksums. With `partial`, one file is enough. Raises MissingInput with
    the missing files, BadData with the file, the expected and the found content, DiskError, and ValueError for `verify` if no
    checksums are known.
    """
    if verify and not geometry.sha256:
        raise ValueError("no checksums are known for these files")
    present = tuple(file for file in range(geometry.files) if is_file(folder / geometry.file_name(file)))
    missing = tuple(geometry.file_name(file) for file in range(geometry.files) if file not in present)
    if missing and not (partial and present):
        advice = f"copy them there{f' from {geometry.source}' if geometry.source else ''}"
        if present:
            advice += ", or use --partial to predict only the existing files"
        raise MissingInput(f"{len(missing)} of {geometry.files} files are missing in {folder}: {', '.join(missing)}; {advice}")
    for file in present:
        path = folder / geometry.file_name(file)
        with disk_errors(f"read {path}"), doing(f"checking {path}"):
            _check_array(path, geometry)
            if verify:
                _check_digest(path, geometry.sha256[file])
    return CheckedFiles(folder=folder, geometry=geometry, present=present, missing=missing)


def map_images(files: CheckedFiles, file: int) -> Images:
    """The images of a file as N×C×H×W, mapped into memory and read on use. Raises DiskError."""
    path = files.folder / files.geometry.file_name(file)
    with disk_errors(f"read {path}"):
        stored = np.memmap(path, dtype=np.uint8, mode="r", offset=_ARRAY_OFFSET, shape=files.geometry.shape)
    return stored.transpose(0, 3, 1, 2)


def _check_array(path: Path, geometry: OutOfDistribution) -> None:
    """Compares the header with the one that numpy writes: safer than parsing whatever a file contains."""
    size = path.stat().st_size
    if size != geometry.file_bytes:
        raise BadData(f"{path} is truncated or not the expected file: expected {geometry.file_bytes:,} bytes, found {size:,}")
    with path.open("rb") as stream:
        start, text = stream.read(len(_ARRAY_START)), stream.read(_ARRAY_OFFSET - len(_ARRAY_START))
    if start != _ARRAY_START:
        raise BadData(f"{path} is not a .npy file of version 1.0: expected the start {_ARRAY_START!r}, found {start!r}")
    expected = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {geometry.shape}, }}"
    found = text.decode("latin-1").strip()
    if found != expected:
        raise BadData(f"{path} holds a different array: expected {expected}, found {one_line(found)}")


def _check_digest(path: Path, expected: str) -> None:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise BadData(f"{path} is damaged: expected the sha256 {expected}, found {found}")
