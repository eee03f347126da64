"""From image files to uint8 pixels of one size: which files are damaged, and what the others show.

torchvision decodes; its decoders are announced to leave it in favour of a library of their own (since torchvision 0.29).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import final

import numpy as np

from orchestrator.support.atomic_files import disk_errors
from orchestrator.support.environment import cores
from orchestrator.support.wording import shown
from trainers.datasets._decoders import Damaged, Decoder, Images, decoders
from trainers.datasets._image_structure import dimensions, orientation, problem

_MOST_PIXELS = 100_000_000  # 300 MB decoded: a file of a few KB can claim far more
_MOST_DECODERS = 8
_IMAGES_PER_DECODER = 500  # which take as long to decode as another process takes to begin, or longer


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """What files came to: the images of those that are sound, uint8 N×3×size×size, and why the others are damaged."""

    images: Images  # in the order of the files
    damaged: Mapping[Path, str]  # a sentence without its subject, the file


@contextmanager
def decoding(size: int, images: int) -> Iterator[Callable[[Sequence[Path]], Decoded]]:
    """A function from files to their images; the more images there will be, the more processes decode them.

    Of each image the central square is taken, turned as its EXIF data say, and resized (bilinear, antialiased). Grey images
    become RGB, transparency is dropped, 16 bits become 8. A file that a decoder warns of counts as damaged. The function raises
    DiskError for a file that cannot be read, and OrchestrateError where decoding itself cannot go on.
    """
    count = min(_MOST_DECODERS, cores(), 1 + images // _IMAGES_PER_DECODER)
    with decoders(count) as taken, ThreadPoolExecutor(count) as pool:
        free: SimpleQueue[Decoder] = SimpleQueue()
        for decoder in taken:
            free.put(decoder)

        def square(file: Path) -> Images | str:
            decoder = free.get()
            try:
                return _square(file, size, decoder)
            except Damaged as error:
                return str(error)
            finally:
                free.put(decoder)

        def decode(files: Sequence[Path]) -> Decoded:
            found = dict(zip(files, pool.map(square, files), strict=True))
            sound = [image for image in found.values() if not isinstance(image, str)]
            return Decoded(
                images=np.stack(sound) if sound else np.empty((0, 3, size, size), dtype=np.uint8),
                damaged={file: why for file, why in found.items() if isinstance(why, str)},
            )

        try:
            yield decode
        except Exception:
            raise
        except BaseException:  # Ctrl-C, while a thread waits for a decoder that may not end
            for decoder in taken:
                decoder.kill()
            raise


def _square(file: Path, size: int, decoder: Decoder) -> Images:
    with disk_errors(f"read {shown(file)}"):
        content = file.read_bytes()
    claimed = dimensions(content)
    if claimed is None:
        raise Damaged("is no PNG, JPEG or WebP image, or it is damaged")
    if claimed[0] * claimed[1] > _MOST_PIXELS:
        raise Damaged(f"claims {claimed[0]}×{claimed[1]} pixels, more than {_MOST_PIXELS:,}")
    if wrong := problem(content):
        raise Damaged(f"is damaged or cannot be decoded ({wrong})")
    try:
        return decoder.square(content, size, orientation(content))
    except Damaged as error:
        raise Damaged(f"is damaged or cannot be decoded ({error})") from error
