"""Folders are the truth: a study that was renamed, copied or deleted by hand goes on, and so do its copies."""

import re
import shlex
import shutil
from pathlib import Path

import optuna
import pytest

from orchestrator.storage.runs import RunsFolder
from tests.cli.studies import QUIET
from tests.helpers.in_process_cli import call, content, refused
from tests.helpers.in_process_study import opened
from tests.helpers.wandb_files import read_folder

OFFLINE = ("--mirror", "offline", "--executor", "in-process")


def published(runs: Path) -> dict[str, int]:
    """The studies in Optuna's database, with the number of their trials."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{runs}/optuna.db")
    try:
        return {study.study_name: storage.get_n_trials(study._study_id) for study in storage.get_all_studies()}
    finally:
        storage.engine.dispose()


@pytest.mark.slow
def test_a_renamed_and_then_copied_study_goes_on_as_two(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = ("study", "curves", "--runs", runs, "--trials", "3", *QUIET)
    assert call(capsys, *study).code == 0
    (runs / "curves").rename(runs / "kept")
    renamed = call(capsys, *study, "--study", "kept")
    assert renamed.code == 0, renamed.messages
    assert published(runs) == {"kept": 3}
    shutil.copytree(runs / "kept", runs / "copy")
    copied = call(capsys, *study, "--study", "copy")
    assert copied.code == 0, copied.messages
    assert f"study 'copy' is a copy of {runs / 'kept'}; it goes on as a study of its own\n" in copied.messages
    assert "copy/trials/" in copied.messages
    assert "kept/trials/" not in copied.messages
    assert published(runs) == {"kept": 3, "copy": 3}
    store = RunsFolder(runs)
    assert store.study("kept").recorded().uuid != store.study("copy").recorded().uuid


@pytest.mark.slow
def test_a_study_is_renamed_with_its_copy_and_deleted_with_it(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    renamed = call(capsys, "studies", "rename", "curves", "kept", "--runs", runs)
    assert (renamed.code, renamed.output) == (0, ""), renamed.messages
    assert published(runs) == {"kept": 3}
    (resume,) = re.findall("^to resume it: orchestrate (.*)$", renamed.messages, re.MULTILINE)
    assert "nothing to do" in call(capsys, *shlex.split(resume), *QUIET).messages
    assert published(runs) == {"kept": 3}
    deleted = call(capsys, "studies", "delete", "kept", "--yes", "--runs", runs)
    assert (deleted.code, deleted.output) == (0, ""), deleted.messages
    assert deleted.messages.startswith("deleted study kept with 3 trials, 1 retrain, ")
    assert published(runs) == {}
    assert [path.name for path in runs.iterdir() if not path.name.startswith("optuna.db")] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "code", "says"),
    [("broken", 69, "Nothing was begun"), ("taken", 78, "has another study 'kept', of an unknown folder")],
)
def test_a_study_whose_copy_cannot_follow_keeps_its_name(
    trouble: str, code: int, says: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = runs.parent / "elsewhere.db"
    if trouble == "broken":
        database.mkdir()
    else:
        storage = optuna.storages.RDBStorage(f"sqlite:///{database}")
        optuna.create_study(storage=storage, study_name="kept", direction="maximize").add_trial(optuna.create_trial(value=1.0))
        storage.engine.dispose()
    before = content(runs)
    words = ("--runs", runs, "--storage", f"sqlite:///{database}")
    refused(capsys, code, "studies", "rename", "curves", "kept", *words, says=(says,))
    assert content(runs) == before
    if trouble == "broken":
        refused(
            capsys,
            code,
            "studies",
            "delete",
            "curves",
            "--yes",
            *words,
            says=("study 'curves' is deleted, and what was published",),
        )
        assert [path.name for path in runs.iterdir() if not path.name.startswith("optuna.db")] == []


@pytest.mark.slow
def test_a_deleted_study_is_begun_again_by_the_same_command(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(runs / "curves")
    begun = call(capsys, "study", "curves", "--runs", runs, "--trials", "1", *QUIET)
    assert begun.code == 0, begun.messages
    assert published(runs) == {"curves": 1}


@pytest.mark.slow
def test_the_w_and_b_runs_of_a_copy_are_not_those_of_its_original(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither where they go on, nor in the files that were copied along."""
    assert call(capsys, "mirror", "curves", "--runs", runs, "--mirror", "offline").code == 0
    shutil.copytree(runs / "curves", runs / "copy")
    for name in ("copy", "curves"):
        assert call(capsys, "study", "curves", "--study", name, "--runs", runs, "--trials", "4", *OFFLINE).code == 0
        assert call(capsys, "mirror", name, "--runs", runs, "--mirror", "offline").code == 0
    ids = [set(read_folder(runs / name)) for name in ("curves", "copy")]
    assert [len(found) for found in ids] == [5, 5]  # four trials and a retrain each
    assert not ids[0] & ids[1]


def test_a_plan_file_is_recorded_with_its_whole_path(tmp_path: Path) -> None:
    """Hints that name it are typed in any folder."""
    found = opened(tmp_path, plan="search_spaces/curves.py")
    assert found.search.plan == str(Path("search_spaces/curves.py").absolute())
