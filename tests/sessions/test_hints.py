"""Every command that a message names can be typed as it is printed, and does what the message promises."""

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import click
import pytest

from orchestrator.cli import cli
from orchestrator.cli.lazy_group import LazyGroup
from orchestrator.storage.runs import RunsFolder
from tests.helpers.in_process_cli import call, exit_code, refused
from tests.helpers.paths import PLUGINS, ROOT

QUIET = ("--mirror", "off", "--executor", "in-process")
PLAN = (PLUGINS / "search_spaces" / "curves.py").read_text()


def commands_in(text: str) -> list[list[str]]:
    """The words of every command that a message names."""
    found = re.findall(r"orchestrate [a-z][^\n`]*", text)
    return [shlex.split(command, comments=True)[1:] for command in found]


def check_words(words: list[str]) -> None:
    """Raise what the command line raises for options or arguments that a command does not have; runs nothing."""
    command: click.Command | None = cli
    rest = words
    while isinstance(command, LazyGroup):
        _, command, rest = command.resolve_command(click.Context(command), rest)
    assert command is not None
    values, left, _ = command.make_parser(click.Context(command)).parse_args(args=rest)
    assert left == []
    for parameter in command.params:
        assert not parameter.required or values.get(str(parameter.name)) not in (None, ()), parameter.name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory whose name a shell would tear, with plug-ins and a study `other` of a plan file, in a runs folder."""
    folder = tmp_path_factory.mktemp("hints") / "it's a $place"
    shutil.copytree(PLUGINS, folder)
    (folder / "my plan.py").write_text(PLAN)
    (folder / "myplan.py").write_text(PLAN)
    messages = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(messages):
        patch.chdir(folder)
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        words = ("study", "myplan.py", "--trials", "2", "--study", "other", "--runs", "my runs", *QUIET)
        assert exit_code(*words) == 0, messages.getvalue()
    (folder / "messages").write_text(messages.getvalue())
    return folder


@pytest.fixture
def here(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which nothing is remembered."""
    folder = Path(shutil.copytree(place, tmp_path / place.name))
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ORCHESTRATE_STORAGE", raising=False)
    return folder


@pytest.mark.slow
def test_what_comes_next_after_a_search(place: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (said,) = re.findall(r"^next: (.*)$", (place / "messages").read_text(), re.MULTILINE)
    assert said == "orchestrate retrain-best other --runs 'my runs'"
    (words,) = commands_in(said)
    assert call(capsys, *words, *QUIET).code == 0  # nothing is remembered in the copy


@pytest.mark.slow
def test_an_enqueued_setting_of_an_idle_study_names_that_study(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = call(capsys, "enqueue", "other", "dropout=0.25", "--runs", "my runs")
    (resume,) = commands_in(result.messages)
    assert resume == ["study", str(resume_plan(here)), "--study", "other", "--trials", "3", "--runs", "my runs"]
    resume[1] = str(here / "myplan.py")  # the copy's own
    assert call(capsys, *resume, *QUIET).code == 0
    trials = RunsFolder(here / "my runs").study("other").runs()
    assert len(trials) == 3
    assert trials[-1].recipe.params["dropout"] == 0.25


def resume_plan(here: Path) -> Path:
    """The plan file as the study recorded it: where it lay when the study was begun."""
    search = RunsFolder(here / "my runs").study("other").read().require_search()
    assert Path(search.plan).is_absolute()
    return Path(search.plan)


def test_hints_of_commands_that_find_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, 66, "submit", "--runs", "my runs", says=("there is no finished retrain",))
    assert commands_in(said) == [["retrain-best", "--runs", "my runs"]]
    said = refused(capsys, 66, "status", "--runs", "an empty one", says=("there is no study",))
    assert commands_in(said) == [["study", "PLAN", "--trials", "N", "--runs", "an empty one"]]
    said = refused(capsys, 66, "train", "my $recipe.json", says=("makes one to begin with",))
    assert commands_in(said) == [["recipe", "NAME", ">", "my $recipe.json"]]
    for words in (["data", "verify", "cifar100"], ["data", "verify", "resnet18-IMAGENET1K_V1"]):
        said = refused(capsys, 66, *words, "--data-dir", "my 'data'")
        name = words[-1]
        assert commands_in(said) == [["data", "fetch", name, "--data-dir", "my 'data'"]]


@pytest.mark.slow
def test_a_study_without_a_complete_trial_is_searched_on_by_its_own_plan(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "failing.py").write_text(PLAN.replace("seed=0)", 'seed=0, params={"misbehaviour": "diverge"})'))
    assert call(capsys, "study", "failing.py", "--trials", "1", "--runs", "my runs", *QUIET).code == 1
    result = call(capsys, "retrain-best", "failing", *QUIET)
    assert result.code == 66
    assert "no COMPLETE trial" in result.messages
    said = result.messages
    assert commands_in(said) == [["study", str(here / "failing.py"), "--trials", "2", "--runs", str(here / "my runs")]]
    assert "its traceback was printed when it failed" in call(capsys, "study", "failing.py", "--runs", "my runs", *QUIET).messages


def documented() -> list[str]:
    """Every command in the documents and the help texts, with its values."""
    texts = [(ROOT / "README.md").read_text(), *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))]
    found = [line.strip() for text in texts for line in re.findall(r"^    orchestrate .*$", text, re.MULTILINE)]
    found += [command for text in texts for command in re.findall(r"`(orchestrate [a-z][^`]*)`", text)]
    return sorted({re.split(r"\s{2,}|…| #", command)[0] for command in found})


@pytest.mark.parametrize("command", documented())
def test_every_documented_command_has_the_options_that_it_is_shown_with(command: str) -> None:
    words = [word.strip("[]") for word in shlex.split(command)[1:]]
    if len(words) < 2 or "|" in words[1]:
        return  # the name alone, or two in one
    words = words[: words.index(">")] if ">" in words else words
    check_words([re.sub("^k=v$", "name=1", word) for word in words])


@pytest.mark.parametrize(
    "words", ["study curves --trials 1 --dataset broken", "train curves --dataset broken", "data verify broken"]
)
def test_a_data_set_that_fails_is_blamed_and_no_plan_or_trainer(
    words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = here / "trainers" / "datasets" / "broken.py"
    file.parent.mkdir(exist_ok=True)
    text = (ROOT / "trainers" / "datasets" / "digits.py").read_text()
    file.write_text(text.replace("        return DataSetInfo(", '        raise KeyError("facts")\n        return DataSetInfo('))
    said = refused(capsys, 65, *words.split())
    assert said.startswith("error: data set 'broken' failed: KeyError: 'facts'")
    assert "trainers/datasets/broken.py, line" in said
