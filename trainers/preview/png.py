"""PNG files (ISO/IEC 15948), as simple as they can be: colour, no filter, no interlacing."""

import struct
import zlib

import torch

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BITS, _COLOUR = 8, 2  # bits per value; red, green and blue


def png(pixels: torch.Tensor) -> bytes:
    """The content of a file for uint8 3×H×W."""
    _, height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, _BITS, _COLOUR, 0, 0, 0)
    lines = pixels.permute(1, 2, 0).reshape(height, -1)
    no_filter = torch.zeros(height, 1, dtype=torch.uint8)  # a byte before each line says so
    packed = zlib.compress(torch.cat([no_filter, lines], dim=1).numpy().tobytes())
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
