"""A folder as one compressed file: written aside, read back and compared, and only then under its name."""

import contextlib
import gzip
import hashlib
import os
import stat
import tarfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, final

from orchestrator.errors import BadData, DiskError
from orchestrator.support.atomic_files import disk_errors, sync_folder
from orchestrator.support.disk_lookups import below, is_there, status

ENDING = ".tar.gz"
# The fastest: most bytes are weights, of which the slowest saves no more.
_COMPRESSION = 1
_CHUNK = 1 << 20  # bytes read at a time


def pack(folder: Path, file: Path, *, without: Collection[str] = ()) -> None:
    """Write all of a folder into a new gzipped tar file, in which it keeps its name; `without` are names in it to leave out.

    The file has its name only once it was synced to the disk, read back and found to hold what the folder holds. Whatever comes
    in between leaves nothing; a kill leaves a file that ends in ".part", which the next call replaces. Raises BadData for what
    is neither file, folder nor link, and DiskError, also where the folder was changed meanwhile.
    """
    part = file.with_name(f"{file.name}.part")
    try:
        before = _content(folder, without)
        with disk_errors(f"write {part}"):
            digests = _write(part, folder, before)
        with disk_errors(f"read {part}"):
            _verify(part, digests)
        if _content(folder, without) != before:
            raise DiskError(f"{folder} was changed while it was archived; see what writes to it, then try again")
        with disk_errors(f"write {file}"):
            if is_there(file):
                raise DiskError(f"{file} was made by another process meanwhile; move it away, then try again")
            part.rename(file)
            sync_folder(file.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


@final
class _Digested:
    """A stream of which is known what was read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        found = self._stream.read(size)
        self.sha256.update(found)
        return found


def _content(folder: Path, without: Collection[str]) -> dict[Path, tuple[int, int, int]]:
    """What lies at and below a folder: kind, size and time of change of each. Raises BadData, DiskError."""
    found: dict[Path, tuple[int, int, int]] = {}
    left_out = {folder / name for name in without}
    for path, what in _all(folder):
        if left_out.isdisjoint((path, *path.parents)):
            kind = stat.S_IFMT(what.st_mode)
            if kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
                raise BadData(f"{path} is neither file, folder nor link, so it cannot be archived; move it away")
            # A folder changes whenever something in it is made or deleted, which is seen by itself, also what was left out.
            found[path] = (kind, *((what.st_size, what.st_mtime_ns) if kind != stat.S_IFDIR else (0, 0)))
    return found


def _all(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    found = status(folder, follow_links=False)
    if found is not None:
        yield folder, found
        yield from below(folder)


def _write(part: Path, folder: Path, paths: Collection[Path]) -> dict[str, str]:
    """Write the file. Returns for each name in it what `_digest` is to find."""
    part.unlink(missing_ok=True)
    digests = {}
    with part.open("xb") as stream:
        with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=_COMPRESSION, format=tarfile.PAX_FORMAT) as packed:
            for path in paths:
                member = _member(path, str(path.relative_to(folder.parent)))
                if member.type != tarfile.REGTYPE:
                    packed.addfile(member)
                    digests[member.name] = member.linkname
                    continue
                with path.open("rb") as source:
                    digested = _Digested(source)
                    packed.addfile(member, digested)
                digests[member.name] = digested.sha256.hexdigest()
        stream.flush()
        os.fsync(stream.fileno())
    return digests


def _member(path: Path, name: str) -> tarfile.TarInfo:
    """What the file says of what lies at `path`; names of users are left out."""
    found = path.lstat()
    member = tarfile.TarInfo(name)
    member.mode, member.mtime = stat.S_IMODE(found.st_mode), int(found.st_mtime)
    member.uid, member.gid = found.st_uid, found.st_gid
    if stat.S_ISDIR(found.st_mode):
        member.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(found.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)  # noqa: PTH115 - Path would change what it says
    else:
        member.size = found.st_size
    return member


def _verify(part: Path, digests: Mapping[str, str]) -> None:
    """Read the file back. Raises DiskError where it does not hold all that was written, and nothing else."""
    found = {}
    try:
        with tarfile.open(part, mode="r:gz") as packed:
            for member in packed:
                found[member.name] = _digest(packed, member)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DiskError(f"{part} cannot be read back ({error}): is the disk sound?") from error
    if found != digests:
        raise DiskError(f"{part} does not hold what was written to it: is the disk sound?")


def _digest(packed: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    """The sha256 of a file's content, and where a link leads."""
    content = packed.extractfile(member) if member.type == tarfile.REGTYPE else None
    if content is None:
        return member.linkname
    digest = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
