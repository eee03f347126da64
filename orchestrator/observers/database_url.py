"""Database URLs of a study's published copy: settled and checked before use, and never kept with their password."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from orchestrator.errors import BadSettings, InvalidInput, Unavailable
from orchestrator.storage import settings
from orchestrator.storage.study_file import StudyFile
from orchestrator.support.secrets import hide_passwords

if TYPE_CHECKING:
    import sqlalchemy

# Database driver -> the package that brings it, where its name is another, or alone is not enough.
_PACKAGES = {"psycopg": "sweep-conductor[postgresql]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
# SQLAlchemy's own choice of a driver for this name differs between its releases.
_POSTGRESQL, _POSTGRESQL_DRIVER = "postgresql", "postgresql+psycopg"
_SQLITE, _SQLITE_DRIVER = "sqlite", "sqlite+pysqlite"

# The password goes up to the last @ before the query, although a pasted @, which should be written %40, ends it for SQLAlchemy.
_WITH_PASSWORD = re.compile(r"([A-Za-z][\w+.-]*://[^/:@]*:)([^@]*(?:@[^?@]*)*)@(.*)", re.DOTALL)

_EXAMPLE = "such as sqlite:///FILE or postgresql://USER@HOST/NAME"


class _KeepsNothing(InvalidInput):
    """The database is in memory, and gone when its process ends."""


def database_url(text: str) -> str:
    """The URL that a user gave, with its driver named and its password quoted: what SQLAlchemy is to be given."""
    if found := _WITH_PASSWORD.fullmatch(text):
        text = f"{found[1]}{quote(unquote(found[2]), safe='')}@{found[3]}"
    name, separator, location = text.partition("://")
    return f"{_POSTGRESQL_DRIVER if name == _POSTGRESQL else name}{separator}{location}"


def sqlite_url(file: Path) -> str:
    """The URL of a file, whatever characters its path has. Raises InvalidInput for a path that is not text."""
    import sqlalchemy

    try:
        return sqlalchemy.URL.create(_SQLITE, database=str(file)).render_as_string(hide_password=False)
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{str(file)!a} is not text in UTF-8; rename the folder, or choose another with --runs") from error


def check_storage(url: str) -> str:
    """The database URL `url`, settled and without its password. Nothing is connected to.

    Raises InvalidInput for what is no database URL, or keeps nothing; Unavailable when the driver that it needs is not installed.
    """
    settled = _settled(url)
    shown = _shown(settled)
    try:
        settled.get_dialect().import_dbapi()
    except ImportError as error:
        package = _PACKAGES.get(error.name or "", error.name)
        raise Unavailable(f"--storage {shown} needs a driver that is not installed: pip install '{package}'") from error
    return shown


def shown_storage(url: str) -> str:
    """What study.json is to say of the URL that an earlier session wrote into it; "" is the default, also of one in memory.

    Raises InvalidInput.
    """
    try:
        return _shown(_settled(url)) if url else ""
    except _KeepsNothing:
        return ""


def default_storage(study: StudyFile | None) -> str | None:
    """The whole URL that the settings files give, where it counts; None elsewhere.

    A study keeps its database. So it counts for one that begins, where `study` is None, and for one that publishes there and
    whose password is not kept. Raises BadSettings, DiskError, or Unavailable as `check_storage`.
    """
    known = study.search.storage if study is not None and study.search is not None else ""
    if (found := settings.in_files("storage")) is None or (study is not None and "***" not in known):
        return None
    try:
        shown = check_storage(found.value)
    except InvalidInput as error:
        raise BadSettings(f"{found.source}: {str(error).replace('--storage', 'storage', 1)}") from None
    return str(found.value) if study is None or shown == known else None


def storage_of(study: StudyFile | None, given: str | None, say: Callable[[str], None]) -> str:
    """The whole URL that a command is to use: `given`, or what the study says; "" is the default, RUNS/optuna.db.

    Raises InvalidInput where the study's needs a password, which is not kept.
    """
    if given is not None:
        return _whole(_settled(given))
    published = study.search.storage if study is not None and study.search is not None else ""
    if study is None or not published:
        return ""
    if "***" in published:
        if (default := default_storage(study)) is not None:
            return _whole(_settled(default))
        raise InvalidInput(
            f"study {study.name!r} publishes to {published}, and passwords are never stored: "
            "name it again with --storage or in ORCHESTRATE_STORAGE"
        )
    if (settled := shown_storage(published)) != published:  # written by a version that kept relative paths
        say(f"warning: study {study.name} publishes to {published}; here that is {settled or 'optuna.db in the runs folder'}")
    return _whole(_settled(settled)) if settled else ""


def _settled(url: str) -> "sqlalchemy.URL":
    """What `url` names, the same from every working directory. Raises InvalidInput."""
    import sqlalchemy

    try:
        url.encode()  # what is not UTF-8 text has no URL
        parsed = sqlalchemy.engine.make_url(database_url(url))
        parsed.get_dialect()
    except (sqlalchemy.exc.ArgumentError, ValueError):  # the text of either may quote the password
        raise InvalidInput(f"--storage must be a database URL {_EXAMPLE}") from None
    if not parsed.database:
        raise InvalidInput(f"--storage {_shown(parsed)} names no database; a URL is {_EXAMPLE}")
    if parsed.get_backend_name() != _SQLITE:
        return parsed
    path, query = parsed.database, dict(parsed.query)
    by_uri = "uri" in query and path.startswith("file:")
    if by_uri:  # SQLite's own form of a file's name
        try:
            parts = urlsplit(path)
        except ValueError:  # such as a [ in the place of a host
            raise InvalidInput(f"--storage must be a database URL {_EXAMPLE}") from None
        path = "" if parts.query or parts.fragment or parts.netloc not in ("", "localhost") else unquote(parts.path)
    if not path.strip() or ":memory:" in path or "memory" in query.get("mode", "") or "memdb" in query.get("vfs", ""):
        raise _KeepsNothing("--storage must name a file, as in sqlite:///FILE: a database in memory keeps nothing")
    path = os.path.abspath(path if by_uri else os.path.expanduser(path))  # noqa: PTH100, PTH111 - Path would resolve links and drop a blank
    settled = parsed.set(database=f"file:{quote(path)}" if by_uri else path)
    return settled.set(drivername=_SQLITE) if settled.drivername == _SQLITE_DRIVER else settled


def _whole(url: "sqlalchemy.URL") -> str:
    """With the password quoted more than SQLAlchemy does, which leaves blanks as they are: so no part of it is ever shown."""
    return database_url(url.render_as_string(hide_password=False))


def _shown(url: "sqlalchemy.URL") -> str:
    named = url.set(drivername=_POSTGRESQL) if url.drivername == _POSTGRESQL_DRIVER else url
    return hide_passwords(named.render_as_string(hide_password=True))  # the second kind of password stands in the query
