"""Whatever a user may name, with every printable character: folders, classes, images, databases; and hints that can be pasted."""

import contextlib
import csv
import io
import json
import os
import re
import sqlite3
import string
import subprocess
from pathlib import Path

import pytest

from orchestrator import cli
from orchestrator.cli.messages import say
from orchestrator.errors import MissingInput
from orchestrator.observers.database_url import sqlite_url
from orchestrator.observers.optuna import connect
from orchestrator.sessions.find_recipe import read_recipe
from orchestrator.sessions.open_study import default_name
from orchestrator.submission.submission_file import name_table
from orchestrator.support.names import NAME, composed
from tests.cli.studies import PLAN, QUIET
from tests.helpers.image_folders import digit_images, write
from tests.helpers.in_process_cli import call, refused
from tests.helpers.paths import PLUGINS
from trainers.pretrained.weight_files import published

# Every printable character of ASCII but the one that no name can hold; letters of two to four bytes, a blank that is none, and
# an accent that joins the letter before it.
EVERY = "".join(sorted(set(string.printable) - set(string.whitespace) - {"/"})) + " éß中🙂\u00a0e\u0301"
NAMES = (EVERY, f" {EVERY} ", f"-{EVERY}", f"~{EVERY}", "%41{0}?x=1#y", "--help", "=1+1")
PASTED = "my data; $(touch no) 'x' & `y` \"z\""


def pictures(folder: Path, name: str) -> Path:
    """Ten classes of eight small images each, all of whose names hold every character."""
    for label in range(10):
        for number, image in enumerate(digit_images(label, 8)):
            write(folder / f"{name}{label}" / f"{name}-{number}.png", image)
    return folder


def plan_called(name: str) -> str:
    """The plan `curves` under another name, for few images."""
    return PLAN.replace('plan="curves"', f'plan="{name}"').replace('"batch_size": 64', '"batch_size": 4')


@pytest.fixture(scope="module", params=[EVERY])
def walked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of that name with a plan, images, data and the runs of a study; the working directory of what follows."""
    folder: Path = tmp_path_factory.mktemp("names") / request.param
    pictures(folder / f"photos{request.param}", request.param)
    (folder / "plan.py").write_text(plan_called("plan"))
    return folder


@pytest.mark.slow
def test_a_study_in_folders_of_any_name(
    walked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = walked.name
    monkeypatch.chdir(PLUGINS)
    runs, data, photos = walked / "runs", walked / "data", walked / f"photos{name}"
    words = ("--runs", runs, "--data-dir", data, *QUIET)
    study = ("study", walked / "plan.py", "--study", "s", "--dataset", f"folder:{photos}?size=8", *words)
    assert call(capsys, *study, "--trials", "2").code == 0
    again = call(capsys, *study, "--trials", "3")
    assert again.code == 0, again.messages
    assert "resumed with 2 finished trials" in again.messages
    assert json.loads((runs / "s" / "study.json").read_text())["data_folder"] == str(data)
    assert json.loads(call(capsys, "status", "s", "--runs", runs, "--format", "json").output)["finished"] == 3
    for form in ("table", "csv", "md", "json"):
        assert "s/trials/0000" in call(capsys, "leaderboard", "s", "--runs", runs, "--format", form).output
    retrained = call(capsys, "retrain-best", "s", *words, "--epochs", "2")
    assert retrained.code == 0, retrained.messages
    submission = next(runs.glob("s/retrain/*/submission.csv"))
    assert call(capsys, "submit", "--check", submission).code == 0
    classes = list(csv.reader(io.StringIO((submission.parent / "classes.csv").read_text(), newline="")))
    assert sorted(row[1] for row in classes[1:]) == sorted(composed(f"{name}{label}") for label in range(10))
    images = list(csv.reader(io.StringIO((submission.parent / "images.csv").read_text(), newline="")))
    assert all((photos / row[1]).is_file() for row in images[1:])
    assert call(capsys, "mirror", "s", "--runs", runs, "--mirror", "off").code == 0
    recipe = walked / f"{name}.json"
    recipe.write_text(call(capsys, "recipe", "s/0", "--runs", runs).output)
    assert call(capsys, "train", recipe, *words).code == 0
    with contextlib.closing(sqlite3.connect(runs / "optuna.db")) as copy:
        assert copy.execute("SELECT study_name FROM studies").fetchall() == [("s",)]
    assert {path.name for path in walked.iterdir()} == {"runs", "data", photos.name, "plan.py", recipe.name}
    assert {path.name for path in runs.iterdir()} - {"optuna.db-wal", "optuna.db-shm"} == {"s", "train", "optuna.db"}


@pytest.mark.parametrize("name", NAMES)
def test_optunas_copy_in_a_folder_of_any_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    connect(sqlite_url(tmp_path / name / f"{name}.db")).engine.dispose()
    assert [path.name for path in tmp_path.rglob("*")] == [name, f"{name}.db"]


def pasted(text: str, folder: Path) -> list[str]:
    """The words that a shell gives to `orchestrate`, when what a message names is pasted there."""
    (line,) = re.findall("`(orchestrate [^`]*)`" if "`orchestrate" in text else "(orchestrate .*)$", text, re.MULTILINE)
    script = f"orchestrate() {{ printf '%s\\0' \"$@\" > words; }}; {line}"
    subprocess.run(["bash", "-c", script], cwd=folder, check=True, capture_output=True, timeout=60)
    return (folder / "words").read_text().split("\0")[:-1]


def test_the_hint_of_enqueue_can_be_pasted(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = runs / "curves" / "study.json"
    plain = json.loads(file.read_text())
    for plan in (f"{PASTED}.py", "-plan.py"):
        plain["search"] |= {"plan": plan, "trials": 9}
        file.write_text(json.dumps(plain))
        said = call(capsys, "enqueue", "curves", "dropout=0.1", "--runs", runs).messages
        expected = plan if plan == f"{PASTED}.py" else "./-plan.py"
        assert pasted(said, tmp_path) == ["study", expected, "--study", "curves", "--runs", str(runs)]
    assert not (tmp_path / "no").exists()


def test_the_hint_of_missing_data_can_be_pasted(tmp_path: Path) -> None:
    from trainers.datasets.cifar100 import dataset as cifar100

    folder = Path(PASTED.replace("`", ""))  # the hint stands between these
    with pytest.raises(MissingInput) as missing:
        cifar100.check(folder)
    assert pasted(str(missing.value), tmp_path) == ["data", "fetch", "cifar100", "--data-dir", str(folder)]
    with pytest.raises(MissingInput) as missing:
        published("resnet18", "IMAGENET1K_V1").find(tmp_path / folder)
    assert pasted(str(missing.value), tmp_path)[-1] == str(tmp_path / folder)


def test_the_hint_of_a_missing_recipe_writes_that_file(tmp_path: Path) -> None:
    name = PASTED.replace("`", "")
    with pytest.raises(MissingInput) as missing:
        read_recipe(Path(f"{name}.json"))
    pasted(str(missing.value), tmp_path)
    assert (tmp_path / f"{name}.json").exists()
    assert not (tmp_path / "no").exists()


def test_a_table_of_names_is_read_back_as_it_was() -> None:
    names = [*NAMES, "a\rb", "a\r\nb", "a\nb", 'a"b', "a,b", ""]
    rows = list(csv.reader(io.StringIO(name_table("id", "file", names).decode(), newline=""), strict=True))
    assert rows == [["id", "file"], *([str(number), name] for number, name in enumerate(names))]


def test_no_escape_sequence_reaches_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[31mred\x07\r\x9b\u202e\udce9 \u00e9中\tand\nmore")
    assert capsys.readouterr().err == "a\\x1b[31mred\\x07\\r\\x9b\\u202e\\udce9 \u00e9中\tand\nmore\n"


def test_a_name_that_is_not_text_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = os.fsdecode(bytes(tmp_path / "caf") + b"\xe9")
    for words in (["study", "curves", "--trials", "1", "--runs", runs], ["train", f"{runs}.json"], ["status", "--runs", runs]):
        capsys.readouterr()
        assert cli.run(lambda words=words: cli.invoke(words)) == 2  # type: ignore[misc]  # one of a loop
        output, messages = capsys.readouterr()
        assert (output, messages.count("\n")) == ("", 1)
        assert "is not text in UTF-8" in messages


def test_a_working_directory_that_is_not_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(os.fsdecode(bytes(tmp_path / "caf") + b"\xe9"))
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "curves.py").write_text(PLAN.replace('trainer="curve"', 'trainer="cnn"'))
    refused(capsys, 2, "study", "curves.py", "--trials", "1", *QUIET, says=("is not text in UTF-8",))
    assert not (folder / "runs" / "curves" / "trials").exists()


def test_a_default_name_is_one_that_a_study_may_have(tmp_path: Path) -> None:
    for plan in ("p" * 60, "p"):
        assert NAME.fullmatch(default_name(plan, "digits", f"folder:{tmp_path}/{EVERY}"))
    assert default_name("p" * 60, "digits", "folder:/photos of a holiday") == f"{'p' * 60}-pho"
