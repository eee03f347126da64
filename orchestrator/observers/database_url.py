"""Database URLs of a study's published copy: checked before use, and never kept with their password."""

import re
from urllib.parse import quote, unquote

from orchestrator.errors import InvalidInput, Unavailable
from orchestrator.storage.study_file import StudyFile
from orchestrator.support.secrets import hide_passwords

# Database driver -> the package that brings it, where its name is another, or alone is not enough.
_PACKAGES = {"psycopg": "sweep-conductor[postgresql]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
# SQLAlchemy's own choice of a driver for this name differs between its releases.
_POSTGRESQL, _POSTGRESQL_DRIVER = "postgresql", "postgresql+psycopg"

# The password goes up to the last @ before the query, although a pasted @, which should be written %40, ends it for SQLAlchemy.
_WITH_PASSWORD = re.compile(r"([A-Za-z][\w+.-]*://[^/:@]*:)([^@]*(?:@[^?@]*)*)@(.*)", re.DOTALL)


def database_url(text: str) -> str:
    """The URL that a user gave, with its driver named and its password quoted: what SQLAlchemy is to be given."""
    if found := _WITH_PASSWORD.fullmatch(text):
        text = f"{found[1]}{quote(unquote(found[2]), safe='')}@{found[3]}"
    name, separator, location = text.partition("://")
    return f"{_POSTGRESQL_DRIVER if name == _POSTGRESQL else name}{separator}{location}"


def check_storage(url: str) -> str:
    """The database URL `url` without its password. Nothing is connected to.

    Raises InvalidInput for what is no database URL, Unavailable when the driver that it needs is not installed.
    """
    import sqlalchemy

    example = "such as sqlite:///FILE or postgresql://USER@HOST/NAME"
    try:
        parsed = sqlalchemy.engine.make_url(database_url(url))
        dialect = parsed.get_dialect()
    except (sqlalchemy.exc.ArgumentError, ValueError):  # the text of either may quote the password
        raise InvalidInput(f"--storage must be a database URL {example}") from None
    named = parsed.set(drivername=_POSTGRESQL) if parsed.drivername == _POSTGRESQL_DRIVER else parsed
    shown = hide_passwords(named.render_as_string(hide_password=True))  # the second kind of password stands in the query
    if not parsed.database:
        raise InvalidInput(f"--storage {shown} names no database; a URL is {example}")
    try:
        dialect.import_dbapi()
    except ImportError as error:
        package = _PACKAGES.get(error.name or "", error.name)
        raise Unavailable(f"--storage {shown} needs a driver that is not installed: pip install '{package}'") from error
    return shown


def storage_of(study: StudyFile | None, given: str | None) -> str:
    """The whole URL that a command is to use: `given`, or what the study says; "" is the default, RUNS/optuna.db.

    Raises InvalidInput where the study's needs a password, which is not kept.
    """
    if given is not None:
        return database_url(given)
    published = study.search.storage if study is not None and study.search is not None else ""
    if study is not None and "***" in published:
        raise InvalidInput(
            f"study {study.name!r} publishes to {published}, and passwords are never stored: "
            "name it again with --storage or in ORCHESTRATE_STORAGE"
        )
    return database_url(published)
