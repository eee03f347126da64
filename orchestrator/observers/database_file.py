"""The file of an SQLite database: whether it is still the one that was opened.

Nothing fails when it is deleted or replaced: what is written then goes into a file without a name.
"""

import contextlib
from pathlib import Path
from typing import final

import sqlalchemy

from orchestrator.errors import DiskError
from orchestrator.support.disk_lookups import status


@final
class DatabaseFile:
    """The file at an SQLAlchemy URL; of a database that is no file nothing is ever lost."""

    def __init__(self, url: str) -> None:
        parsed = sqlalchemy.engine.make_url(url)
        name = parsed.database or ""
        is_file = parsed.get_backend_name() == "sqlite" and name != "" and not name.startswith((":", "file:"))
        self._path = Path(name) if is_file else None
        self._opened: tuple[int, int] | None = None

    def is_missing(self) -> bool:
        """Whether the database is a file, and none lies there. Raises DiskError."""
        return self._path is not None and self._found() is None

    def opened(self) -> None:
        """The file that lies there now is the one that is written from now on."""
        self._opened = self._found()

    def is_lost(self) -> bool:
        """Whether another file, or none, lies there; not where that cannot be told."""
        with contextlib.suppress(DiskError):
            return self._opened is not None and self._found() != self._opened
        return False

    def _found(self) -> tuple[int, int] | None:
        found = status(self._path) if self._path is not None else None
        return (found.st_dev, found.st_ino) if found is not None else None
