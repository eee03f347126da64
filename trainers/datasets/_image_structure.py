"""What the bytes of a PNG, JPEG or WebP file say before a decoder sees them: size, soundness, orientation.

Only arithmetic: nothing here can crash, whatever a file holds. PNG has a checksum for each of its chunks, so every wrong byte is
found; WebP has lengths, so a cut is found; JPEG has neither.
"""

import struct
import zlib
from collections.abc import Iterator

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_JPEG_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xDA))  # markers without a length
_JPEG_TABLES = (0xC4, 0xC8, 0xCC)  # between C0 and CF, and no start of a frame
_WEBP_CHUNKS = 12  # bytes before the first chunk

_EXIF_START = b"Exif\0\0"  # which some writers put before the EXIF data of a WebP file
_ORIENTATION = 0x0112  # the tag
_SHORT = 3  # its type, a whole number of two bytes
UPRIGHT = 1  # the orientation of an image that is not to be turned


def dimensions(content: bytes) -> tuple[int, int] | None:
    """Width and height (pixels) that the header of a PNG, JPEG or WebP file claims; None where it is none of them."""
    try:
        if content.startswith(_PNG) and content[12:16] == b"IHDR":
            width, height = struct.unpack_from(">II", content, 16)
            return width, height
        if content.startswith(_JPEG):
            return _of_jpeg(content)
        if _is_webp(content):
            return _of_webp(content)
    except (struct.error, IndexError):
        return None
    return None


def problem(content: bytes) -> str:
    """What is wrong with the structure of a PNG or WebP file; "" where nothing is, and for a JPEG, which has no checksums."""
    if content.startswith(_PNG):
        return _problem_of_png(content)
    return _problem_of_webp(content) if _is_webp(content) else ""


def orientation(content: bytes) -> int:
    """How the EXIF data of a WebP file turn it, 1 to 8; 1 (upright) where they do not say, and for other files.

    torchvision turns JPEG and PNG by itself, and WebP not.
    """
    if _is_webp(content):
        for kind, start, end in _webp_chunks(content):
            if kind == b"EXIF":
                return _orientation_of(content[start:end].removeprefix(_EXIF_START))
    return UPRIGHT


def _is_webp(content: bytes) -> bool:
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


def _problem_of_png(content: bytes) -> str:
    view = memoryview(content)
    position = len(_PNG)
    while position + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        if end > len(content):
            break
        (checksum,) = struct.unpack_from(">I", content, end - 4)
        if zlib.crc32(view[position + 4 : end - 4]) != checksum:
            return f"the checksum of its chunk {kind.decode('ascii', 'backslashreplace')!r} differs"
        if kind == b"IEND":
            return ""  # decoders ignore what follows
        position = end
    return "it ends too early"


def _problem_of_webp(content: bytes) -> str:
    (size,) = struct.unpack_from("<I", content, 4)
    if size + 8 > len(content):
        return f"it should have {size + 8:,} bytes, and has {len(content):,}"
    chunks = list(_webp_chunks(content))
    # The last chunk may lack the byte that pads it to an even length.
    if not chunks or chunks[-1][2] > size + 8:
        return "one of its chunks ends too early"
    return ""


def _webp_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and end of each chunk; the last one may end after the file."""
    position, end = _WEBP_CHUNKS, struct.unpack_from("<I", content, 4)[0] + 8
    while position + 8 <= min(end, len(content)):
        kind, length = struct.unpack_from("<4sI", content, position)
        yield kind, position + 8, position + 8 + length
        position += 8 + length + length % 2


def _orientation_of(exif: bytes) -> int:
    """From EXIF data: a TIFF header, and a first directory of entries of 12 bytes."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return UPRIGHT
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, directory)
        for number in range(entries):
            tag, kind, count, value = struct.unpack_from(order + "HHIH", exif, directory + 2 + 12 * number)
            if tag == _ORIENTATION:
                return value if (kind, count) == (_SHORT, 1) and UPRIGHT <= value <= 8 else UPRIGHT
    except struct.error:
        return UPRIGHT
    return UPRIGHT


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
