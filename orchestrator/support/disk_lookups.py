"""Questions to the disk that are answered with yes, no, or an error: an error never means that nothing is there.

Path.glob, exists and their kind hide errors, each version of Python others; `tests/test_architecture.py` keeps them out.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import DiskError
from orchestrator.support.atomic_files import disk_errors

# Errors that the disk has, and not what was asked of it: they concern every run.
_OF_THE_DISK = {
    *(errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENODEV, errno.ENOSPC, errno.ENOTCONN, errno.EPERM),
    *(errno.EROFS, errno.ESTALE, errno.ETIMEDOUT),
}


def is_of_the_disk(error: OSError) -> bool:
    """Whether an error that a plug-in met is one of the disk. An error of a connection names no file."""
    named = error.filename is not None or error.errno in (errno.ENOSPC, errno.EIO, errno.EFBIG)
    return named and error.errno in _OF_THE_DISK


def status(path: Path, *, follow_links: bool = True) -> os.stat_result | None:
    """What lies at `path`; None where nothing does. Raises DiskError."""
    with disk_errors(f"read {path}"):
        try:
            return path.stat(follow_symlinks=follow_links)
        except (FileNotFoundError, NotADirectoryError):  # also where a file stands in the place of a folder above it
            _refuse_dangling_link(path if follow_links else path.parent)
            return None


def is_there(path: Path) -> bool:
    """Whether a file or a folder lies at `path`, or where its link leads. Raises DiskError."""
    return status(path) is not None


def is_file(path: Path) -> bool:
    """Whether a file lies at `path`, or where its link leads. Raises DiskError."""
    found = status(path)
    return found is not None and stat.S_ISREG(found.st_mode)


def is_folder(path: Path) -> bool:
    """Whether a folder lies at `path`, or where its link leads. Raises DiskError."""
    found = status(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def is_link(path: Path) -> bool:
    """Whether a link lies at `path`, wherever it leads. Raises DiskError."""
    found = status(path, follow_links=False)
    return found is not None and stat.S_ISLNK(found.st_mode)


def has_content(log: Path) -> bool:
    """Whether a log has anything to read; in doubt it has."""
    try:
        found = status(log)
    except DiskError:
        return True
    return found is not None and found.st_size > 0


def names_in(folder: Path) -> list[str]:
    """The names of all that lies in a folder, in order; none where nothing lies at `folder`. Raises DiskError."""
    with disk_errors(f"read {folder}"):
        try:
            return sorted(os.listdir(folder))  # noqa: PTH208 - Path.iterdir fails later, when its first name is taken
        except (FileNotFoundError, NotADirectoryError):
            if is_there(folder):
                raise
            return []


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, in the order of their names, and its links, which the caller refuses. Raises DiskError."""
    return [path for name in names_in(folder) if is_link(path := folder / name) or is_folder(path)]


def below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """All that lies below a folder, in the order of the names: files, folders before what is in them, and links as such.

    What is deleted meanwhile is left out. Raises DiskError.
    """
    waiting = [folder / name for name in reversed(names_in(folder))]
    while waiting:
        path = waiting.pop()
        found = status(path, follow_links=False)
        if found is None:
            continue
        yield path, found
        if stat.S_ISDIR(found.st_mode):
            waiting += [path / name for name in reversed(names_in(path))]


def bytes_below(folder: Path) -> int:
    """The bytes of all files below a folder. Raises DiskError."""
    return sum(found.st_size for _, found in below(folder) if stat.S_ISREG(found.st_mode))


def content(path: Path) -> bytes | None:
    """What a file holds; None where there is none. Raises DiskError."""
    with disk_errors(f"read {path}"):
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            _refuse_dangling_link(path)
            return None


def _refuse_dangling_link(path: Path) -> None:
    """Raise OSError where nothing is found because a link on the way leads nowhere: its disk may not be mounted."""
    for place in (path, *path.parents):
        try:
            found = place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISLNK(found.st_mode):
            target = place.resolve()
            try:
                target.lstat()
            except (FileNotFoundError, NotADirectoryError):
                raise OSError(errno.ENOENT, f"{place} is a link to {target}, where nothing is") from None
        return
