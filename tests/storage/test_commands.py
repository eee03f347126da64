"""Commands in hints: a shell takes them as they are printed, and they find the folders that they speak of."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.storage.commands import command, mirror_command, resume_command
from orchestrator.storage.remembered_folders import remember_runs_folder
from orchestrator.storage.study_file import Search, StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.storage.study_options import StudyOptions

NAMES = st.text(st.characters(min_codepoint=32, blacklist_categories=["Cs"]), min_size=1, max_size=30)


def search_of(plan: str, storage: str = "") -> Search:
    options = StudyOptions(dataset="digits", seed=0, epochs=4, pruner="none", sampler="tpe")
    return Search(plan=plan, plan_content={}, options=options, trials=8, storage=storage)


@given(NAMES, NAMES)
def test_a_shell_gives_back_every_word(folder: str, plan: str) -> None:
    runs = Path("/somewhere") / folder
    typed = command(runs, "study", plan, "--trials", "3")
    assert shlex.split(typed) == ["orchestrate", "study", plan, "--trials", "3", "--runs", str(runs)]


def test_the_runs_folder_is_named_where_a_command_would_take_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "my $runs"
    other.mkdir()
    assert command(Path("runs"), "retrain-best", "x") == "orchestrate retrain-best x"
    assert command(tmp_path / "runs", "retrain-best", "x") == "orchestrate retrain-best x"
    assert command(other, "retrain-best", "x") == f"orchestrate retrain-best x --runs '{other}'"
    remember_runs_folder(other)  # until another study comes, here or in another shell
    assert command(other, "retrain-best", "x") == f"orchestrate retrain-best x --runs '{other}'"
    assert command(Path("runs"), "retrain-best", "x") == "orchestrate retrain-best x --runs runs"
    for begins in ("study", "train"):  # these never take the folder that was used before
        assert command(Path("runs"), begins, "x") == f"orchestrate {begins} x"
        assert command(other, begins, "x") == f"orchestrate {begins} x --runs '{other}'"
    monkeypatch.chdir("/")
    assert command(other, "mirror", "x") == f"orchestrate mirror x --runs '{other}'"


@pytest.mark.parametrize(
    ("plan", "study", "words"),
    [
        ("part2", "part2", "study part2"),
        ("part2", "part2-digits", "study part2 --study part2-digits"),
        ("/home/my plans/mine.py", "mine", "study '/home/my plans/mine.py'"),
        ("/home/$me/mine.py", "other", "study '/home/$me/mine.py' --study other"),
    ],
)
def test_a_study_is_resumed_under_its_own_name(
    plan: str, study: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = StudyFolder(Path("runs"), study)
    assert resume_command(folder, search_of(plan)) == f"orchestrate {words}"
    assert resume_command(folder, search_of(plan), trials=9) == f"orchestrate {words} --trials 9"


def test_a_password_that_is_not_kept_has_a_place_in_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder, secret = StudyFolder(Path("runs"), "a"), search_of("a", "postgresql://me:***@host/db")
    study = StudyFile(uuid="u", name="a", created=1.0, search=secret)
    assert resume_command(folder, secret) == "ORCHESTRATE_STORAGE=URL orchestrate study a"
    assert mirror_command(folder, study) == "ORCHESTRATE_STORAGE=URL orchestrate mirror a"
    assert mirror_command(folder, replace(study, search=None)) == "orchestrate mirror a"
