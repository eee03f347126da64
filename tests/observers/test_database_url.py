"""What --storage names: one database from every working directory, that keeps what it is given; passwords whole and hidden."""

import dataclasses
import string
import uuid
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import make_url

from orchestrator.errors import InvalidInput
from orchestrator.observers.database_url import check_storage, database_url, shown_storage, storage_of
from orchestrator.observers.optuna import connect
from orchestrator.storage.study_file import Search, StudyFile
from orchestrator.storage.study_options import StudyOptions
from orchestrator.support.secrets import Secrets, hide_passwords


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///copy.db", "copy.db"),
        ("sqlite:///./copy.db", "copy.db"),
        ("sqlite:///a/../copy.db", "copy.db"),
        ("sqlite+pysqlite:///copy.db", "copy.db"),
        ("sqlite:///~/copy.db", "home/copy.db"),
        ("sqlite:///a b.db", "a b.db"),
        ("sqlite:///{SCHEMA_VERSION}.db", "{SCHEMA_VERSION}.db"),
        ("sqlite:///{0}.db", "{0}.db"),
        ("sqlite:///a%3Fb%25.db", "a?b%.db"),
        ("sqlite:///file:copy.db?uri=true", "copy.db"),
        ("sqlite:///file:a%2541.db?uri=true&cache=private", "aA.db"),
        ("sqlite:///copy.db?timeout=5", "copy.db"),
    ],
)
def test_a_storage_is_one_file_from_every_folder(url: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    shown, whole = check_storage(url), storage_of(None, url, print)
    monkeypatch.chdir(tmp_path / "elsewhere")
    connect(whole).engine.dispose()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / file]
    assert check_storage(shown) == shown
    assert storage_of(published_to(shown), None, pytest.fail) == whole


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///:memory:",
        "sqlite+pysqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:x?mode=memory&cache=shared&uri=true",
        "sqlite:///file:x%3Fmode=memory?uri=true",
        "sqlite:///file:x?vfs=memdb&uri=true",
        "sqlite:///x.db?mode=memory",
        "sqlite:///file:?uri=true",
        "sqlite:///   ",
    ],
)
def test_what_keeps_nothing_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="must name a file, as in sqlite:///FILE"):
        check_storage(url)


def published_to(storage: str) -> StudyFile:
    options = StudyOptions(dataset="digits", seed=0, epochs=1, pruner="none", sampler="tpe")
    search = Search(plan="p", plan_content={}, options=options, trials=1, storage=storage)
    return StudyFile(uuid=uuid.uuid4().hex, name="s", created=0.0, search=search)


def test_a_study_that_kept_a_relative_path_says_what_it_takes_it_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    assert storage_of(published_to("sqlite:///copy.db"), None, said.append) == f"sqlite:///{tmp_path}/copy.db"
    assert said == [f"warning: study s publishes to sqlite:///copy.db; here that is sqlite:///{tmp_path}/copy.db"]


def test_a_study_whose_copy_was_in_memory_has_the_usual_one_now() -> None:
    said: list[str] = []
    assert shown_storage("sqlite:///:memory:") == ""
    assert storage_of(published_to("sqlite:///:memory:"), None, said.append) == ""
    assert len(said) == 1
    study = published_to("")
    assert storage_of(dataclasses.replace(study, search=None), None, pytest.fail) == ""


EVERY = string.printable.strip() + " éß中🙂"


@pytest.mark.parametrize("password", [EVERY, *EVERY.replace("%", "")])
def test_a_password_with_every_printable_character(password: str) -> None:
    url = f"postgresql://user:{quote(password, safe='')}@host:5432/name"
    whole = storage_of(None, url, print)
    assert make_url(whole).password == password
    assert make_url(database_url(whole)) == make_url(whole)
    assert check_storage(url) == "postgresql://user:***@host:5432/name"
    assert hide_passwords(f"cannot open {whole}, sorry") == "cannot open postgresql+psycopg://user:***@host:5432/name, sorry"
    assert f":{quote(password, safe='')}@" not in Secrets({"url": whole}).hide(f"<{whole}>")


def test_braces_in_other_parts_of_a_url_are_not_filled_in() -> None:
    whole = storage_of(None, "postgresql://{u}:{p}@host/{n}?application_name={a}", print)
    assert "{" not in whole
    assert dict(make_url(whole).query) == {"application_name": "{a}"}
