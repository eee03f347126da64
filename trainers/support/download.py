"""Downloads that leave either the right file or none: written aside, checked, then renamed."""

import hashlib
import http.client
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from orchestrator.errors import BadData, MissingInput
from orchestrator.support.activity import bar_or, on_terminal
from orchestrator.support.atomic_files import disk_errors
from orchestrator.support.disk_lookups import is_file

_TIMEOUT = 30.0  # seconds without a byte after which the network counts as gone
_BLOCK = 1 << 20  # bytes read at a time


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """What a file's digest must begin with, in hexadecimal."""

    algorithm: Literal["md5", "sha256"]
    digits: str

    def fits(self, path: Path) -> bool:
        """Whether `path` is a file with this digest. Raises DiskError when that cannot be read."""
        return is_file(path) and digest(path, self.algorithm).startswith(self.digits)


def digest(path: Path, algorithm: Literal["md5", "sha256"]) -> str:
    """The digest of a file's content, in hexadecimal. Raises DiskError."""
    with disk_errors(f"read {path}"), path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def download(url: str, target: Path, checksum: Checksum, *, by_hand: str) -> None:
    """Put what `url` serves at `target`, with a progress bar on a terminal.

    Raises MissingInput, ending in the advice `by_hand`, when it cannot be had, BadData when it is not what was expected, and
    DiskError. Whatever happens, `target` is as it was, or complete and verified.
    """
    aside = target.with_name(target.name + ".part")
    with disk_errors(f"write {target}"):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with (
                aside.open("wb") as stream,
                bar_or(lambda: f"downloading {target.name}: {stream.tell() / 1e6:.0f} MB so far"),
            ):
                _transfer(url, stream, target.name, by_hand)
                stream.flush()
                os.fsync(stream.fileno())
            if not checksum.fits(aside):
                raise BadData(
                    f"{url} does not serve the expected file: its {checksum.algorithm} is not {checksum.digits}. {by_hand}"
                )
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)


def _transfer(url: str, stream: IO[bytes], name: str, by_hand: str) -> None:
    def unreachable(reason: object) -> MissingInput:
        return MissingInput(f"cannot download {url}: {reason}. {by_hand}")

    request = urllib.request.Request(url, headers={"User-Agent": "sweep-conductor"})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise unreachable(getattr(error, "reason", error)) from error
    with response, _progress() as progress:
        length = response.headers["Content-Length"]
        expected = int(length) if length else None
        task = progress.add_task(name, total=expected)
        received = 0
        while True:
            try:
                block = response.read(_BLOCK)
            except (OSError, http.client.HTTPException) as error:
                raise unreachable(f"the connection broke after {received:,} bytes ({error})") from error
            if not block:
                break
            stream.write(block)
            received += len(block)
            progress.update(task, completed=received)
        if expected is not None and received != expected:
            raise unreachable(f"the connection broke after {received:,} of {expected:,} bytes")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not on_terminal())
