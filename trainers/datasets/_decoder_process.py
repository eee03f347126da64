"""Decodes images for a parent that survives whatever a decoder does: `python -P _decoder_process.py SECONDS`.

Run by its path, so that no name of ours has to be found. After the import of torch it says READY. A request on stdin is 9 bytes,
`<IIB` (bytes of the file, width and height of the result, orientation), then the file. An answer on stdout is 9 bytes, `<BII`
(kind, bytes of text, bytes of pixels), then both. Text is what decoders printed to stderr, a file of the parent's. It ends after
SECONDS without a request, and with its parent.
"""

import os
import re
import resource
import select
import signal
import struct
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

READY = b"ready"
IMAGE, ERROR, NO_MEMORY = range(3)
REQUEST = struct.Struct("<IIB")
ANSWER = struct.Struct("<BII")
_LONGEST = 2_000  # bytes of text
_OF_THE_SOURCE = re.compile(r"^.*\.(cpp|h):[0-9]+, ")  # which function of torchvision says it, in which file


def main() -> None:
    """Answer requests until there are no more."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected, and its core is of no use
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this
    warnings.simplefilter("ignore")  # of Python's; the decoders' own come from C
    answers = os.dup(1)
    os.dup2(2, 1)  # a library that prints must not be taken for an answer
    import torch
    import torchvision  # noqa: F401 - here, so that a long import is not taken for a decoder that hangs

    torch.set_num_threads(1)
    _write(answers, READY)
    while select.select([0], [], [], float(sys.argv[1]))[0] and (request := _read(REQUEST.size)):
        size, side, orientation = REQUEST.unpack(request)
        content = _read(size)
        os.ftruncate(2, 0)
        kind, text, pixels = _decoded(content, side, orientation)
        printed = text or os.pread(2, _LONGEST, 0)
        _write(answers, ANSWER.pack(kind, len(printed), len(pixels)) + printed + pixels)


def _decoded(content: bytes, side: int, orientation: int) -> tuple[int, bytes, bytes]:
    """Kind, text and pixels of the answer."""
    try:
        return IMAGE, b"", _pixels(content, side, orientation)
    except MemoryError:
        return NO_MEMORY, b"", b""
    except Exception as error:
        reason = _OF_THE_SOURCE.sub("", (str(error).splitlines() or [type(error).__name__])[0])
        kind = NO_MEMORY if "allocate memory" in str(error) else ERROR
        return kind, reason.encode(errors="backslashreplace")[:_LONGEST], b""


def _pixels(content: bytes, size: int, orientation: int) -> bytes:
    import torch
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms.v2 import functional

    encoded = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    image = decode_image(encoded, mode=ImageReadMode.RGB, apply_exif_orientation=True)
    image = functional.to_dtype(image, torch.uint8, scale=True)
    image = _turned(image, orientation)
    side = min(image.shape[-2:])
    # Cropped before it is resized, unlike the usual order: a strip of 1×100,000 pixels would become huge first.
    image = functional.center_crop(image, [side, side])
    if side != size:
        image = functional.resize(image, [size, size], antialias=True)
    return bytes(image.contiguous().numpy().data)


def _turned(image: "torch.Tensor", orientation: int) -> "torch.Tensor":
    """The image as EXIF's orientation says: 2 to 4 mirrored or upside down, 5 to 8 the same after rows became columns."""
    if orientation > 4:
        image = image.transpose(-1, -2)
    axes = {2: (-1,), 3: (-2, -1), 4: (-2,), 6: (-1,), 7: (-2, -1), 8: (-2,)}.get(orientation, ())
    return image.flip(axes) if axes else image


def _read(size: int) -> bytes:
    """Exactly so many bytes of stdin; none at its end."""
    parts = []
    while size and (part := os.read(0, min(size, 1 << 20))):
        parts.append(part)
        size -= len(part)
    return b"" if size else b"".join(parts)


def _write(stream: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(stream, view) :]


if __name__ == "__main__":
    main()
