"""A place that cannot be read is never taken for an empty one: the command ends with 74, and nothing is written."""

import errno
import shutil
from pathlib import Path

import pytest

from orchestrator.storage.runs import RunsFolder
from tests.helpers.in_process_cli import call, content, refused
from tests.helpers.paths import PLUGINS
from tests.helpers.unreadable_places import refuse

QUIET = ("--mirror", "off", "--executor", "in-process")
COMMANDS = {
    "study": ("study", "curves", "--trials", "4", *QUIET),
    "status": ("status",),
    "leaderboard": ("leaderboard",),
    "retrain-best": ("retrain-best", *QUIET),
    "mirror": ("mirror", "--mirror", "off"),
    "submit": ("submit",),
    "recipe": ("recipe", "curves/0"),
    "show": ("show", "curves/1"),
    "studies": ("studies",),
    "archive": ("studies", "archive", "curves"),
    "delete": ("studies", "delete", "curves", "--yes"),
    "enqueue": ("enqueue", "curves", "dropout=0.1"),
    "train": ("train", "curves", "--study", "curves-alone", *QUIET),
}
# Place -> the commands that read it.
PLACES = {
    "runs": (
        "study",
        "status",
        "leaderboard",
        "retrain-best",
        "mirror",
        "submit",
        "recipe",
        "show",
        "studies",
        "archive",
        "delete",
    ),
    # `train` begins a study of its own, which another study's folder does not concern.
    "runs/curves": tuple(command for command in COMMANDS if command != "train"),
    "runs/curves/trials": ("study", "status", "leaderboard", "retrain-best", "mirror", "show", "studies", "archive", "delete"),
    "runs/curves/trials/0001": (
        "study",
        "status",
        "leaderboard",
        "retrain-best",
        "mirror",
        "show",
        "studies",
        "archive",
        "delete",
    ),
    "runs/curves/trials/0001/record.json": (
        "study",
        "status",
        "leaderboard",
        "retrain-best",
        "mirror",
        "show",
        "studies",
        "archive",
    ),
    "runs/curves/retrain": ("leaderboard", "submit", "mirror", "studies", "delete"),
    "runs/curves/enqueued": ("study", "status", "studies", "archive", "delete"),
    "trainers": ("study", "retrain-best", "train"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with plug-ins, a study with a retrain, and a single run in a later study."""
    here = Path(shutil.copytree(PLUGINS, tmp_path_factory.mktemp("finished") / "here"))
    with pytest.MonkeyPatch.context() as patch, pytest.MonkeyPatch.context() as environment:
        patch.chdir(here)
        environment.delenv("ORCHESTRATE_STORAGE", raising=False)
        from tests.helpers.in_process_cli import exit_code

        for words in (("study", "curves", "--trials", "3", *QUIET), ("retrain-best", *QUIET)):
            assert exit_code(*words) == 0
        assert exit_code("enqueue", "curves", "dropout=0.2") == 0
    return here


@pytest.fixture
def here(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(shutil.copytree(finished, tmp_path / "here"))
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ORCHESTRATE_STORAGE", raising=False)
    return folder


@pytest.mark.parametrize(
    ("place", "command", "number"),
    [
        *((place, command, errno.EACCES) for place, commands in PLACES.items() for command in commands),
        *((place, commands[0], errno.ESTALE) for place, commands in PLACES.items()),
    ],
)
def test_a_place_that_cannot_be_read_ends_the_command_and_changes_nothing(
    place: str, command: str, number: int, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(here)
    with pytest.MonkeyPatch.context() as patch:
        refuse(patch, here / place, number)
        message = refused(capsys, 74, *COMMANDS[command])
    assert place.rpartition("/")[2] in message
    assert content(here) == before


@pytest.mark.parametrize("command", ["study", "status", "leaderboard", "mirror"])
def test_a_folder_whose_names_alone_are_refused(command: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(here)
    with pytest.MonkeyPatch.context() as patch:
        refuse(patch, here / "runs" / "curves" / "trials", errno.EACCES, names_only=True)
        refused(capsys, 74, *COMMANDS[command], says=("cannot read runs/curves/trials: Permission denied",))
    assert content(here) == before


def test_the_study_goes_on_once_its_folder_can_be_read(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        refuse(patch, here / "runs" / "curves" / "trials", errno.ESTALE)
        refused(capsys, 74, *COMMANDS["study"])
    assert call(capsys, *COMMANDS["study"]).code == 0
    assert [record.number for record in RunsFolder(here / "runs").known("curves").runs()][:4] == [0, 1, 2, 3]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_an_enqueued_setting_that_cannot_be_read_is_not_called_damaged(
    number: int, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (waiting,) = (here / "runs" / "curves" / "enqueued").iterdir()
    before = content(here / "runs" / "curves" / "enqueued")
    with pytest.MonkeyPatch.context() as patch:
        refuse(patch, waiting, number)
        result = call(capsys, *COMMANDS["study"])
    assert result.code == 74
    assert f"cannot read {waiting.relative_to(here)}" in result.messages
    assert "damaged" not in result.messages
    assert content(here / "runs" / "curves" / "enqueued") == before


def test_a_lock_that_cannot_be_read_is_not_a_free_study(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        refuse(patch, here / "runs" / "curves" / "study.lock", errno.EACCES)
        refused(capsys, 74, "stop", "curves", says=("study.lock",))


def test_a_remembered_runs_folder_that_cannot_be_read_is_not_replaced_by_the_default(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = tmp_path / "disk" / "away"
    assert call(capsys, "study", "curves", "--trials", "2", "--runs", away, *QUIET).code == 0
    with pytest.MonkeyPatch.context() as patch:
        refuse(patch, tmp_path / "disk", errno.ESTALE)
        refused(capsys, 74, "retrain-best", *QUIET, says=(f"cannot read {away}", "Give another with --runs"))
    assert "using the runs folder" in call(capsys, "status").messages
