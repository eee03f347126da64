"""Defaults of a working directory: which of several counts, what a file may say, and what is refused in one line."""

import os
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import BadSettings, DiskError
from orchestrator.storage import settings
from orchestrator.storage.commands import command
from orchestrator.storage.remembered_folders import (
    data_folder_of,
    last_runs_folder,
    new_runs_folder,
    remember_runs_folder,
)
from orchestrator.storage.settings import KEYS, VARIABLES, WandbDefaults, find, notes, wandb_defaults, wandb_in_words
from orchestrator.storage.study_file import StudyFile

STUDY = StudyFile(uuid="u", name="part2", created=1.5)
SECTION = "[tool.orchestrate]\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def write(own: str = "", of_project: str = "") -> None:
    for file, text in (("orchestrate.toml", own), ("pyproject.toml", of_project)):
        if text:
            Path(file).write_text(text)


def value(key: str) -> Any:
    found = find(key)
    return None if found is None else found.value


def test_without_variables_and_files_nothing_is_set() -> None:
    assert [find(key) for key in KEYS] == [None] * len(KEYS)
    assert wandb_defaults() == WandbDefaults()
    assert notes() == []
    assert VARIABLES.keys() == KEYS.keys()


@pytest.mark.parametrize("of_project", [False, True])
def test_a_file_sets_every_default(of_project: bool, tmp_path: Path) -> None:
    text = 'runs = "their/runs"\ndata-dir = "~/data"\nstorage = "sqlite:///a.db"\n'
    text += 'wandb_project = "p"\nwandb-tags = ["a", "b", "a"]\n'
    write(*(("", f'[project]\nname = "x"\nruns = 3\n{SECTION}{text}') if of_project else (text, "")))
    expected = {
        "runs": Path("their/runs"),  # from the folder of the file, which is this one
        "data-dir": tmp_path / "home" / "data",
        "storage": "sqlite:///a.db",
        "wandb-project": "p",
        "wandb-tags": ("a", "b"),
    }
    assert {key: value(key) for key in KEYS} == expected
    assert {found.source for key in KEYS if (found := find(key))} == {"pyproject.toml" if of_project else "orchestrate.toml"}


def test_each_key_comes_from_its_variable_else_our_file_else_that_of_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    write('runs = "b"\ndata-dir = "b"\n', SECTION + 'runs = "c"\ndata-dir = "c"\nwandb-project = "c"\nwandb-tags = ["c"]\n')
    monkeypatch.setenv("ORCHESTRATE_RUNS", "~/a")
    monkeypatch.setenv("ORCHESTRATE_WANDB_TAGS", " x, y,,x")
    monkeypatch.setenv("ORCHESTRATE_DATA_DIR", "")
    assert (value("runs"), value("data-dir"), value("wandb-project")) == (Path.home() / "a", Path("b"), "c")
    assert value("wandb-tags") == ("x", "y")
    assert notes() == ["note: orchestrate.toml and pyproject.toml both set runs, data-dir; orchestrate.toml counts"]


def test_a_variable_whose_name_is_nearly_one_of_ours_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORCHESTRATE_RUN", "ORCHESTRATE_DATADIR", "ORCHESTRATE_CRASH", "ORCHESTRATE_HOME"):
        monkeypatch.setenv(name, "x")
    assert notes() == [
        "note: the variable ORCHESTRATE_DATADIR does nothing; did you mean ORCHESTRATE_DATA_DIR?",
        "note: the variable ORCHESTRATE_RUN does nothing; did you mean ORCHESTRATE_RUNS?",
    ]


REFUSED = {
    "an unknown key": (
        '\nrusn = "a"\n',
        "orchestrate.toml, line 2: unknown setting 'rusn'; did you mean runs? Known: runs, data-dir,",
    ),
    "a key like none": (
        "x = 1\n",
        "orchestrate.toml, line 1: unknown setting 'x'; known: runs, data-dir, storage, wandb-project,",
    ),
    "a table": ('[wandb]\nproject = "p"\n', "orchestrate.toml, line 1: unknown setting 'wandb'; did you mean wandb-"),
    "a number": ("# mine\nruns = 3\n", "orchestrate.toml, line 2: runs must be a text in quotes, and is a number"),
    "a truth value": ("runs = true\n", "orchestrate.toml, line 1: runs must be a text in quotes, and is true or false"),
    "a day": ("runs = 2026-11-30\n", "orchestrate.toml, line 1: runs must be a text in quotes"),
    "a list": ('data-dir = ["a"]\n', "orchestrate.toml, line 1: data-dir must be a text in quotes, and is a list"),
    "an empty text": ('storage = " "\n', "orchestrate.toml, line 1: storage must not be empty"),
    "a zero": ('runs = "a\\u0000b"\n', "orchestrate.toml, line 1: runs must not hold a zero character"),
    "nobody's home": ('runs = "~nobody-at-all/runs"\n', "orchestrate.toml, line 1: runs cannot be found: "),
    "a text for a list": ('wandb-tags = "a"\n', "orchestrate.toml, line 1: wandb-tags must be a list of texts"),
    "numbers for texts": ("wandb-tags = [1]\n", "orchestrate.toml, line 1: wandb-tags must be a list of texts"),
    "a long tag": (
        f'wandb-tags = ["{"x" * 65}"]\n',
        "orchestrate.toml, line 1: wandb-tags must be tags of at most 64 characters",
    ),
    "a project that W&B refuses": ('wandb-project = "a/b"\n', "orchestrate.toml, line 1: wandb-project must be at most 128"),
    "a key in two spellings": ('data-dir = "a"\ndata_dir = "b"\n', "orchestrate.toml, line 2: data-dir is given twice"),
    "a key twice": ('runs = "a"\nruns = "b"\n', "orchestrate.toml is no TOML: "),
    "half a line": ("runs =\n", "orchestrate.toml is no TOML: Invalid value (at line 1, column 7)"),
    "deep lists": (f"runs = {'[' * 100_000}", "orchestrate.toml is no TOML: "),
    "a long number": (f"runs = {'1' * 5000}", "orchestrate.toml is no TOML: "),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("key", ["runs", "wandb-tags"])
def test_what_is_wrong_in_a_file_is_refused_with_its_place_whatever_is_looked_for(what: str, key: str) -> None:
    text, says = REFUSED[what]
    write(text)
    with pytest.raises(BadSettings) as refused:
        find(key)
    assert str(refused.value).startswith(says)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 78


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '[project]\nrun = "x"\n\n[tool.orchestrate]\nrun = "a"\n',
            "pyproject.toml, line 5: unknown setting 'run'; did you mean runs?",
        ),
        ("[tool]\norchestrate = 3\n", "[tool.orchestrate] in pyproject.toml must be a table"),
        ("[tool.orchestrate\n", "pyproject.toml is no TOML: "),
    ],
)
def test_what_is_wrong_in_the_section_of_a_project(text: str, says: str) -> None:
    write("", text)
    with pytest.raises(BadSettings) as refused:
        find("runs")
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize("text", ["torn", '[project]\nname = "x"\n', "[tool.ruff]\n", '[tool]\nother = "orchestrate"\n'])
def test_a_project_without_our_section_is_none_of_our_business(text: str) -> None:
    write("", text)
    assert find("runs") is None


def test_files_in_other_encodings(here: Path) -> None:
    (here / "orchestrate.toml").write_bytes(b'\xef\xbb\xbfruns = "caf\xc3\xa9"\r\n')
    assert value("runs") == Path("café")
    (here / "orchestrate.toml").write_bytes(b'runs = "caf\xe9"\n')
    with pytest.raises(BadSettings, match=r"^orchestrate\.toml cannot be read: it is not text in UTF-8$"):
        find("runs")


def test_a_file_that_cannot_be_read_is_no_missing_one(here: Path) -> None:
    (here / "orchestrate.toml").mkdir()
    with pytest.raises(DiskError, match=r"orchestrate\.toml"):
        find("runs")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("ORCHESTRATE_WANDB_PROJECT", "a:b"),
        ("ORCHESTRATE_WANDB_TAGS", "x" * 65),
        ("ORCHESTRATE_RUNS", "~nobody-at-all"),
        ("ORCHESTRATE_RUNS", "caf\udce9"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(BadSettings, match=f"^{variable} "):
        find(next(key for key in KEYS if VARIABLES[key] == variable))


def test_no_message_quotes_a_password() -> None:
    for text in (
        'storage = 3\n"postgresql://me:s3cret@host/d" = 1\n',
        'storage = "postgresql://me:s3cret@host/d\n',
        'storage = ["postgresql://me:s3cret@host/d"]\n',
    ):
        write(text)
        with pytest.raises(BadSettings) as refused:
            find("storage")
        assert "s3cret" not in str(refused.value)


FILE = 'wandb-project = "file"\nwandb-tags = ["file"]\n'
OURS = {"ORCHESTRATE_WANDB_PROJECT": "ours", "ORCHESTRATE_WANDB_TAGS": "ours"}
THEIRS = {"WANDB_PROJECT": "theirs", "WANDB_TAGS": "theirs"}


@pytest.mark.parametrize(
    ("text", "variables", "project", "tags", "shown"),
    [
        ("", {}, "", None, "project: that of W&B's settings, else sp25-ds542-challenge"),
        (FILE, {}, "file", ("file",), "project: file, from orchestrate.toml; tags: file, from orchestrate.toml"),
        (FILE, THEIRS, "", None, "project: theirs, from WANDB_PROJECT; tags: theirs, from WANDB_TAGS"),
        (
            FILE,
            {**THEIRS, **OURS},
            "ours",
            ("ours",),
            "project: ours, from ORCHESTRATE_WANDB_PROJECT; tags: ours, from ORCHESTRATE_WANDB_TAGS",
        ),
        ("", OURS, "ours", ("ours",), "project: ours, from ORCHESTRATE_WANDB_PROJECT; tags: ours, from ORCHESTRATE_WANDB_TAGS"),
        (
            FILE,
            {"WANDB_RUN_TAGS": "theirs", "WANDB_PROJECT": ""},
            "file",
            None,
            "project: file, from orchestrate.toml; tags: theirs, from WANDB_RUN_TAGS",
        ),
        (
            "wandb-tags = []\n",
            {},
            "",
            (),
            "project: that of W&B's settings, else sp25-ds542-challenge; tags: none, from orchestrate.toml",
        ),
    ],
)
def test_in_wandb_a_variable_comes_before_a_file_and_ours_before_theirs(
    text: str,
    variables: dict[str, str],
    project: str,
    tags: tuple[str, ...] | None,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(text)
    for name, given in variables.items():
        monkeypatch.setenv(name, given)
    assert wandb_defaults() == WandbDefaults(project=project, tags=tags)
    assert wandb_in_words() == shown


def test_the_runs_folder_of_a_file_comes_before_the_one_that_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    remember_runs_folder(tmp_path / "other")
    said: list[str] = []
    assert (new_runs_folder(None), last_runs_folder(None, said.append)) == (Path("runs"), tmp_path / "other")
    assert said == [f"using the runs folder {tmp_path / 'other'}, as the last study here did"]
    write('runs = "mine"\n')
    assert (new_runs_folder(None), last_runs_folder(None, said.append)) == (Path("mine"), Path("mine"))
    assert (new_runs_folder(Path("x")), last_runs_folder(Path("x"))) == (Path("x"), Path("x"))
    assert len(said) == 1


def test_the_data_folder_that_a_study_records_comes_before_that_of_a_file(tmp_path: Path) -> None:
    write('data-dir = "theirs"\n')
    said: list[str] = []
    recording = STUDY.with_data_folder(str(tmp_path))
    assert data_folder_of(recording, None, said.append) == tmp_path
    assert data_folder_of(recording, Path("given"), said.append) == Path("given")
    assert data_folder_of(STUDY, None, said.append) == data_folder_of(None, None) == Path("theirs")
    assert said == []
    assert data_folder_of(STUDY.with_data_folder("/gone"), None, said.append) == Path("theirs")
    assert said[0].endswith("is not on this machine; using theirs. Give another with --data-dir")


def test_hints_name_a_runs_folder_only_where_a_command_would_take_another(monkeypatch: pytest.MonkeyPatch) -> None:
    write('runs = "mine"\n')
    for name in ("study", "status"):
        assert command(Path("mine"), name, "x") == f"orchestrate {name} x"
        assert command(Path("runs"), name, "x") == f"orchestrate {name} x --runs runs"
    monkeypatch.setenv("ORCHESTRATE_RUNS", "runs")
    assert command(Path("runs"), "study", "x") == "orchestrate study x"
    write("torn")
    assert command(Path("runs"), "status", "x") == "orchestrate status x"
    monkeypatch.delenv("ORCHESTRATE_RUNS")
    assert command(Path("runs"), "status", "x") == "orchestrate status x --runs runs"


def test_what_a_project_in_wandb_may_not_hold_is_what_wandb_refuses() -> None:
    import wandb

    for name in ("x" * 129, *(f"a{character}b" for character in settings._NOT_IN_PROJECT)):
        with pytest.raises(wandb.errors.UsageError):
            wandb.Settings(project=name)
    wandb.Settings(project="x" * 128, run_tags=("x" * 64,))
    with pytest.raises(ValueError, match="64"):
        wandb.Settings(run_tags=("x" * 65,))
