"""Checkpoint files that carry their own checksum: a damaged one is noticed, whatever the record beside it says.

A checkpoint is what `torch.save` writes, a zip archive, whose archive comment holds "sha256:" and the 64 hexadecimal digits
of every byte before them, the comment's own length included. So each byte of the file is protected, no second file can be out
of step with it, and plain `torch.load(path, weights_only=True)` still reads it.
"""

import collections
import hashlib
import io
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import BadData, MissingInput
from orchestrator.support.atomic_files import disk_errors, replace

_LABEL = b"sha256:"
_DIGITS = 64
_PLAIN_TYPES = (type(None), bool, int, float, str, bytes)


def write(path: Path, state: Mapping[str, Any], *, aside: Path | None = None) -> str:
    """Replace the checkpoint at `path` by `state`, atomically; returns the sha256 of the file as it lies on the disk.

    It is written in the folder `aside` first, or beside `path`; without that folder nothing is replaced.
    `state` holds tensors on any device and plain Python values, nested in dicts, lists and tuples.
    Raises TypeError naming the value that could not be read back safely; DiskError, and the old checkpoint then stands.
    """
    import torch

    _check_readable(dict(state), "state")
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    buffer.seek(-2, io.SEEK_END)  # a zip archive without a comment ends in the comment's length, 16 bits
    buffer.write(struct.pack("<H", len(_LABEL) + _DIGITS) + _LABEL)
    digest = hashlib.sha256(buffer.getbuffer())
    digits = digest.hexdigest().encode()
    buffer.write(digits)
    digest.update(digits)
    with disk_errors(f"write {path}"):
        replace(path, buffer.getvalue(), aside=aside)
    return digest.hexdigest()


def read(path: Path) -> dict[str, Any]:
    """The state in the checkpoint at `path`, its tensors on the CPU; nothing in the file is ever executed.

    Raises MissingInput where there is none, BadData for a file that is damaged or was not written by `write`, DiskError.
    """
    import torch

    with disk_errors(f"read {path}"):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise MissingInput(f"there is no checkpoint {path}") from None
    protected, digits = memoryview(content)[:-_DIGITS], content[-_DIGITS:]
    if hashlib.sha256(protected).hexdigest().encode() != digits:
        raise BadData(
            f"{path} is damaged, or is no checkpoint of this project: its {len(content):,} bytes do not end in their sha256"
        )
    try:
        state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, EOFError) as error:
        raise BadData(f"{path} cannot be loaded as tensors and plain values: {str(error).splitlines()[0]}") from error
    if not isinstance(state, dict):
        raise BadData(f"{path} holds a {type(state).__name__} where a dict is expected")
    return state


def _check_readable(value: object, where: str) -> None:
    """Exact types, because a subclass (a numpy float, an enumeration) is pickled by its class, which `read` refuses."""
    import torch

    kind = type(value)
    if kind in _PLAIN_TYPES or isinstance(value, torch.Tensor):
        return
    if kind in (dict, collections.OrderedDict) and isinstance(value, dict):
        for key, item in value.items():
            _check_readable(key, f"a key of {where}")
            _check_readable(item, f"{where}[{key!r}]")
    elif kind in (list, tuple) and isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_readable(item, f"{where}[{index}]")
    else:
        raise TypeError(
            f"{where} is a {kind.__module__}.{kind.__name__}; a checkpoint holds tensors and plain Python values only"
        )
