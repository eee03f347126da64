"""From image files to uint8 pixels of one size: the only module that knows how files are decoded.

torchvision decodes; its decoders are announced to leave it in favour of a library of their own (since torchvision 0.29).
"""

import os
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from orchestrator.errors import BadData
from orchestrator.support.atomic_files import disk_errors
from trainers.datasets._listing import shown

Images = npt.NDArray[np.uint8]

_MOST_PIXELS = 100_000_000  # 300 MB decoded: a file of a few KB can claim far more
_MOST_THREADS = 8

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_JPEG_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xDA))  # markers without a length
_JPEG_TABLES = (0xC4, 0xC8, 0xCC)  # between C0 and CF, and no start of a frame


@contextmanager
def decoding(size: int) -> Iterator[Callable[[Sequence[Path]], Images]]:
    """A function from files to their images, uint8 N×3×size×size, decoded by several threads.

    Of each image the central square is taken, turned as its EXIF data say, and resized (bilinear, antialiased). Grey images
    become RGB, transparency is dropped, 16 bits become 8. The function raises BadData naming a file that cannot be decoded.
    """
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore", DeprecationWarning)  # the announcement, once per image
        yield lambda files: np.ascontiguousarray(np.stack(list(pool.map(lambda file: _square(file, size), files))))


def dimensions(content: bytes) -> tuple[int, int] | None:
    """Width and height (pixels) that the header of a PNG, JPEG or WebP file claims; None where it is none of them."""
    try:
        if content.startswith(_PNG) and content[12:16] == b"IHDR":
            width, height = struct.unpack_from(">II", content, 16)
            return width, height
        if content.startswith(_JPEG):
            return _of_jpeg(content)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _of_webp(content)
    except (struct.error, IndexError):
        return None
    return None


def _square(file: Path, size: int) -> Images:
    with disk_errors(f"read {shown(file)}"):
        content = file.read_bytes()
    claimed = dimensions(content)
    if claimed is None:
        raise BadData(f"{shown(file)} is no PNG, JPEG or WebP image, or it is damaged: repair it or remove it")
    if claimed[0] * claimed[1] > _MOST_PIXELS:
        raise BadData(f"{shown(file)} claims {claimed[0]}×{claimed[1]} pixels, more than {_MOST_PIXELS:,}: make it smaller")
    try:
        return _resized(content, size)
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadData(f"{shown(file)} is damaged or cannot be decoded ({reason}): repair it or remove it") from error


def _resized(content: bytes, size: int) -> Images:
    # Imported only where images are decoded: it takes longer than the rest of a command.
    import torch
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms.v2 import functional

    encoded = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    image: torch.Tensor = decode_image(encoded, mode=ImageReadMode.RGB, apply_exif_orientation=True)
    image = functional.to_dtype(image, torch.uint8, scale=True)
    side = min(image.shape[-2:])
    # Cropped before it is resized, unlike the usual order: a strip of 1×100,000 pixels would become huge first.
    image = functional.center_crop(image, [side, side])
    if side != size:
        image = functional.resize(image, [size, size], antialias=True)
    pixels: Images = image.numpy()
    return pixels


def _of_jpeg(content: bytes) -> tuple[int, int] | None:
    position = len(_JPEG)
    while position + 1 < len(content):
        marker = content[position + 1]
        if content[position] != 0xFF or marker in (0x00, 0xFF):
            position += 1  # padding, which decoders skip too
        elif marker in _JPEG_WITHOUT_LENGTH:
            position += 2
        elif 0xC0 <= marker <= 0xCF and marker not in _JPEG_TABLES:
            height, width = struct.unpack_from(">HH", content, position + 5)
            return width, height
        else:
            position += 2 + max(2, struct.unpack_from(">H", content, position + 2)[0])
    return None


def _of_webp(content: bytes) -> tuple[int, int] | None:
    kind = content[12:16]
    if kind == b"VP8X":
        width, more_width, height, more_height = struct.unpack_from("<HBHB", content, 24)
        return 1 + width + (more_width << 16), 1 + height + (more_height << 16)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None
