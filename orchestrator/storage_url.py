"""Database URLs of a study's published copy: checked before use, and never kept with their password."""

from orchestrator.errors import InvalidInput, Unavailable
from orchestrator.passwords import hide_passwords
from orchestrator.store import StudyFile

# Database driver -> the package that brings it, where its name is another, or alone is not enough.
_PACKAGES = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}


def check_storage(url: str) -> str:
    """The database URL `url` without its password. Nothing is connected to.

    Raises InvalidInput for what is no database URL, Unavailable when the driver that it needs is not installed.
    """
    import sqlalchemy

    example = "such as sqlite:///FILE or postgresql://USER@HOST/NAME"
    try:
        parsed = sqlalchemy.engine.make_url(url)
        dialect = parsed.get_dialect()
    except (sqlalchemy.exc.ArgumentError, ValueError):  # the text of either may quote the password
        raise InvalidInput(f"--storage must be a database URL {example}") from None
    shown = hide_passwords(parsed.render_as_string(hide_password=True))  # the second kind of password stands in the query
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
        return given
    if study is not None and "***" in study.storage:
        raise InvalidInput(
            f"study {study.name!r} publishes to {study.storage}, and passwords are never stored: "
            "name it again with --storage or in ORCHESTRATE_STORAGE"
        )
    return study.storage if study is not None else ""
