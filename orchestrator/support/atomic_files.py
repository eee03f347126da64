"""Writing files so that a reader, and a power cut, see either the old one or the new one, never a part."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import DiskError
from orchestrator.support.fault_injection import reached


@contextlib.contextmanager
def disk_errors(action: str) -> Iterator[None]:
    """Turn what the operating system says of a file into DiskError: "cannot ACTION: reason"."""
    try:
        yield
    except OSError as error:
        name = str(error.filename or "")
        where = f" ({name})" if name and name not in action else ""
        raise DiskError(f"cannot {action}: {error.strerror or error}{where}") from error


def replace(path: Path, content: bytes, *, aside: Path | None = None) -> None:
    """Write `content` aside, sync it, and rename it to `path`. Raises OSError; the old file then stands.

    `aside` is a folder on the same disk to write it in; beside `path` where it is None.
    """
    part = (aside or path.parent) / (path.name + ".part")
    try:
        write_synced(part, content)
        reached(f"{path.name} written aside")
        part.replace(path)
        reached(f"{path.name} renamed")
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file, in place of what a kill left there or of a link, which is not followed. Raises OSError."""
    path.unlink(missing_ok=True)
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
