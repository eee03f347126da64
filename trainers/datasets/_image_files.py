"""Image files of any folder, read as the images of a data set are: the same square, size, turn and channels, the same damage."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from orchestrator.contracts import ImageFiles, ReadImages
from trainers.datasets._decoders import Images
from trainers.datasets._decoding import decoding
from trainers.datasets._listing import flat_listing

_MOST_BYTES = 64 << 20  # of the images that are read at a time
_MOST_IMAGES = 1_000
_COLOURS = 3

# Of red, green and blue in grey, as ITU-R 601 and Pillow have them, in 65536ths: grey remains what it is.
_GREY = (19_595, 38_470, 7_471)
_GREY_SHIFT = 16


def image_files(*, size: int, channels: int = _COLOURS) -> Callable[[Path], ImageFiles]:
    """How image files become images of `size`×`size` pixels: `DataSetNames(image_files=image_files(size=64))`.

    For a data set whose own images are made like this: of each file the central square, turned as its EXIF data say and resized
    (bilinear, antialiased), in red, green and blue, or grey for one channel.
    """
    if channels not in (1, _COLOURS):
        raise ValueError(f"image files have 1 or {_COLOURS} channels, not {channels}")

    def of(folder: Path) -> ImageFiles:
        listed = flat_listing(folder)

        def read(names: Sequence[str]) -> Iterator[ReadImages]:
            return _read(folder, names, listed.unreadable, size, channels)

        return ImageFiles(folder=folder, names=listed.names, read=read, others=listed.others)

    return of


def _read(folder: Path, names: Sequence[str], unreadable: Mapping[str, str], size: int, channels: int) -> Iterator[ReadImages]:
    at_a_time = max(1, min(_MOST_IMAGES, _MOST_BYTES // (_COLOURS * size**2)))
    with decoding(size, len(names)) as decode:
        for first in range(0, len(names), at_a_time):
            part = names[first : first + at_a_time]
            files = {folder / name: name for name in part if name not in unreadable}
            decoded = decode(list(files))
            damaged = {name: unreadable[name] for name in part if name in unreadable}
            yield ReadImages(
                names=tuple(name for file, name in files.items() if file not in decoded.damaged),
                images=decoded.images if channels == _COLOURS else _grey(decoded.images),
                damaged=damaged | {files[file]: why for file, why in decoded.damaged.items()},
            )


def _grey(images: Images) -> Images:
    """uint8 N×3×S×S as N×1×S×S."""
    weights = np.array(_GREY, dtype=np.uint32)[:, None, None]
    weighted = (images * weights).sum(axis=1, keepdims=True, dtype=np.uint32)
    grey: Images = ((weighted + (1 << _GREY_SHIFT - 1)) >> _GREY_SHIFT).astype(np.uint8)
    return grey
