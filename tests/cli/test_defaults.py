"""Defaults that variables and settings files give to commands: obeyed, shown by --help, and refused in one line."""

import shutil
from pathlib import Path

import pytest

from orchestrator.errors import Mismatch
from orchestrator.sessions.open_study import OpenedStudy, Request, open_study
from orchestrator.storage.remembered_folders import remember_runs_folder
from orchestrator.storage.runs import RunsFolder
from orchestrator.support.clock import SystemClock
from tests.cli.studies import QUIET
from tests.cli.test_help import COMMANDS
from tests.helpers.in_process_cli import call, content, refused
from tests.helpers.paths import PLUGINS
from tests.helpers.wandb_files import WandbRun, read_folder

IN_PROCESS = ("--executor", "in-process")
SECRET = "postgresql://me:s3cret@host/name"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the test plug-ins, for a user without an account of W&B."""
    folder = Path(shutil.copytree(PLUGINS, tmp_path / "here"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("WANDB_API_KEY", "WANDB_PROJECT", "WANDB_TAGS", "WANDB_RUN_TAGS", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    return folder


def help_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The help of a command without blanks, since its lines break anywhere in a path."""
    result = call(capsys, *words, "--help")
    assert (result.code, result.messages) == (0, "")
    return "".join(result.output.split())


def shown(default: str) -> str:
    """How such a help shows a default."""
    return f"[default: {default}]".replace(" ", "")


@pytest.mark.slow
def test_commands_use_the_folders_of_the_file_until_an_option_names_others(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "orchestrate.toml").write_text('runs = "of the file"\ndata-dir = "their data"\n')
    assert call(capsys, "study", "curves", "--trials", "2", *QUIET).code == 0
    study = RunsFolder(here / "of the file").known("curves")
    assert study.read().data_folder == ""  # the file goes on to say it, so a change of the file counts
    for words in ("status", "leaderboard", "recipe curves/0", "enqueue curves dropout=0.1", "stop curves"):
        result = call(capsys, *words.split())
        assert result.code == 0, result.messages
        assert "using the runs folder" not in result.messages
    refused(capsys, 66, "status", "--runs", "runs", says=("there is no study in runs",))
    result = call(capsys, "study", "curves", "--trials", "1", "--runs", "elsewhere", *QUIET)
    assert "next: orchestrate retrain-best curves --runs elsewhere" in result.messages
    assert (here / "elsewhere" / "curves" / "study.json").is_file()
    assert not (here / "runs").exists()


def test_a_variable_counts_as_the_option(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "orchestrate.toml").write_text('runs = "of the file"\ndata-dir = "of the file"\n')
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("ORCHESTRATE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("ORCHESTRATE_DATA_DIR", str(tmp_path / "data"))
    assert call(capsys, "study", "curves", "--trials", "1", *QUIET).code == 0
    assert RunsFolder(tmp_path / "runs").known("curves").read().data_folder == str(tmp_path / "data")
    assert call(capsys, "recipe", "curves").messages == ""  # --runs would do nothing, but nobody typed it
    assert call(capsys, "status").code == 0
    said = refused(capsys, 66, "data", "verify", "cifar100")
    assert f"--data-dir {tmp_path}/data" in said
    said = refused(capsys, 66, "data", "verify", "cifar100", "--data-dir", "typed")
    assert "--data-dir typed" in said


def test_data_commands_use_the_folder_of_the_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "pyproject.toml").write_text('[tool.orchestrate]\ndata_dir = "of the project"\n')
    assert "--data-dir 'of the project'" in refused(capsys, 66, "data", "verify", "cifar100")


def test_help_shows_each_default_and_where_it_comes_from(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = help_of(capsys, "study")
    for default in (
        "runs",
        "the study's, else data",
        "the study's, else optuna.db in the runs folder",
        "auto; project: that of W&B's settings, else sp25-ds542-challenge",
    ):
        assert shown(default) in study
    (here / "far").mkdir()
    remember_runs_folder(here / "far")
    assert shown(f"{here}/far, of the last study here") in help_of(capsys, "status")
    (here / "pyproject.toml").write_text(
        '[tool.orchestrate]\nruns = "r"\ndata-dir = "d"\nwandb-project = "p"\nwandb-tags = ["t"]\n'
    )
    (here / "orchestrate.toml").write_text(f'data-dir = "o"\nstorage = "{SECRET}"\n')
    study = help_of(capsys, "study")
    for default in (
        "r, from pyproject.toml",
        "the study's, else o, from orchestrate.toml",
        "the study's, else postgresql://me:***@host/name, from orchestrate.toml",
        "auto; project: p, from pyproject.toml; tags: t, from pyproject.toml",
    ):
        assert shown(default) in study
    assert shown("r, from pyproject.toml") in help_of(capsys, "status")
    assert shown("o, from orchestrate.toml") in help_of(capsys, "data", "fetch")
    monkeypatch.setenv("ORCHESTRATE_DATA_DIR", "v")
    monkeypatch.setenv("ORCHESTRATE_STORAGE", SECRET.replace("s3cret", "p w"))
    study = help_of(capsys, "study")
    assert shown("v, from ORCHESTRATE_DATA_DIR") in study
    assert shown("postgresql://me:***@host/name, from ORCHESTRATE_STORAGE") in study


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_shown_whatever_a_settings_file_holds(command: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "orchestrate.toml").write_text("runs = 3\n")
    text = help_of(capsys, *command.split())
    if "--runsDIR" in text:
        assert shown("unknown, orchestrate.toml, line 1: runs must be a text in quotes, and is a number") in text


@pytest.mark.parametrize(
    "words",
    [
        "study curves --trials 1 --runs r --data-dir d --mirror off --storage sqlite:///x.db",
        "status --runs r",
        "leaderboard",
        "submit",
        "mirror",
        "recipe curves",
        "train curves",
        "retrain-best",
        "data verify digits",
    ],
)
def test_a_wrong_file_ends_every_command_that_has_defaults_from_it(
    words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "orchestrate.toml").write_text('storge = "sqlite:///x"\n')
    before = content(here)
    said = refused(capsys, 78, *words.split())
    assert said == (
        "error: orchestrate.toml, line 1: unknown setting 'storge'; did you mean storage? "
        "Known: runs, data-dir, storage, wandb-project, wandb-tags\n"
    )
    assert content(here) == before


def test_a_command_without_such_defaults_does_not_look_at_the_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "orchestrate.toml").write_text("torn")
    assert call(capsys, "baselines", "--format", "csv").code == 0


def test_which_of_two_files_counts_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "pyproject.toml").write_text('[tool.orchestrate]\nruns = "b"\n')
    (here / "orchestrate.toml").write_text('runs = "a"\n')
    result = call(capsys, "status")
    assert result.messages.splitlines()[0] == "note: orchestrate.toml and pyproject.toml both set runs; orchestrate.toml counts"
    assert "there is no study in a" in result.messages


def opened(storage: str | None = None) -> OpenedStudy:
    return open_study(
        Request(plan="curves", trials=1, storage=storage), RunsFolder(Path("runs")), None, SystemClock(), pytest.fail
    )


def test_the_database_of_a_file_is_that_of_new_studies(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "orchestrate.toml").write_text('storage = "sqlite:///team.db"\n')
    begun = opened()
    assert begun.storage == begun.file.require_search().storage == f"sqlite:///{here}/team.db"
    assert opened("sqlite:///typed.db").storage == f"sqlite:///{here}/typed.db"
    begun.folder.write(begun.file)
    (here / "orchestrate.toml").write_text('storage = "sqlite:///other.db"\n')
    assert opened().storage == f"sqlite:///{here}/team.db"
    with pytest.raises(Mismatch, match=r"storage: .*team\.db -> .*typed\.db"):
        opened("sqlite:///typed.db")
    begun.folder.write(begun.file)
    (here / "orchestrate.toml").write_text('storage = ":memory:"\n')
    assert opened().storage == f"sqlite:///{here}/team.db"
    shutil.rmtree(here / "runs")
    said = refused(capsys, 78, "study", "curves", "--trials", "1", *QUIET)
    assert said.startswith("error: orchestrate.toml: storage must be a database URL such as sqlite:///FILE")


@pytest.mark.slow
def test_the_password_of_a_file_opens_the_database_of_its_study_and_is_shown_nowhere(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///file:{here}/team.db?uri=true&password=s3cret"
    (here / "orchestrate.toml").write_text(f'storage = "{url}"\n')
    words = ("study", "curves", *QUIET)
    first = call(capsys, *words, "--trials", "1")
    second = call(capsys, *words, "--trials", "2")
    copied = call(capsys, "mirror", "--mirror", "off")
    assert (first.code, second.code, copied.code) == (0, 0, 0), second.messages + copied.messages
    (here / "orchestrate.toml").write_text(f'storage = "{url.replace("team.db", "other.db")}"\n')
    other = refused(capsys, 2, *words, "--trials", "3", says=("passwords are never stored",))
    for text in (first.messages, second.messages, copied.messages, other):
        assert "s3cret" not in text
    for path in (here / "runs").rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes(), path


def wandb_runs(here: Path) -> list[WandbRun]:
    return list(read_folder(here / "runs" / "curves").values())


@pytest.mark.slow
def test_project_and_tags_are_in_the_files_of_wandb(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "orchestrate.toml").write_text('wandb-project = "of the file"\nwandb-tags = ["digits", "first try"]\n')
    result = call(capsys, "study", "curves", "--trials", "1", "--mirror", "offline", *IN_PROCESS)
    assert result.code == 0
    assert "warning" not in result.messages
    assert [(run.project, run.tags) for run in wandb_runs(here)] == [("of the file", ("digits", "first try"))]


@pytest.mark.slow
def test_a_study_is_copied_whole_into_the_project_that_counts_now(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(*words: str, **variables: str) -> set[tuple[str, tuple[str, ...]]]:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            result = call(capsys, *words, "--mirror", "offline")
        assert result.code == 0, result.messages
        return {(run.project, run.tags) for run in wandb_runs(here)}

    study = ("study", "curves", *IN_PROCESS)
    assert found(*study, "--trials", "1") == {("sp25-ds542-challenge", ())}
    written = content(here / "runs" / "curves" / "wandb")
    assert found("mirror") == {("sp25-ds542-challenge", ())}
    assert content(here / "runs" / "curves" / "wandb") == written  # what is complete is left alone
    theirs = {"WANDB_PROJECT": "theirs", "WANDB_TAGS": "a,b"}
    (here / "orchestrate.toml").write_text('wandb-project = "file"\n')
    assert found(*study, "--trials", "2", **theirs) == {("theirs", ("a", "b"))}
    assert found("mirror") == {("file", ())}
    ours = {"ORCHESTRATE_WANDB_PROJECT": "ours", "ORCHESTRATE_WANDB_TAGS": "c"}
    assert found("mirror", **theirs, **ours) == {("ours", ("c",))}


def test_a_project_that_wandb_refuses_ends_a_study_before_it_begins(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATE_WANDB_PROJECT", "a/b")
    refused(capsys, 78, "study", "curves", "--trials", "1", *IN_PROCESS, says=("ORCHESTRATE_WANDB_PROJECT must be at most 128",))
    assert not (here / "runs").exists()
