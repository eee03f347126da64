"""Optuna's copy follows the study's folder: what was deleted or renamed does not stand in the way of what is there."""

import json
import shutil
import socket
from pathlib import Path

import optuna
import pytest

from orchestrator.errors import Mismatch, Unavailable
from orchestrator.observers.copy_owner import CopyOwner
from orchestrator.observers.published_studies import remove_copies
from orchestrator.observers.replay import replay
from tests.helpers.observed_runs import UUID, study_of
from tests.helpers.published_copies import Copier, trials

OTHER = "1" * 32


def names(folder: Path) -> list[str]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/optuna.db")
    try:
        return sorted(study.study_name for study in storage.get_all_studies())
    finally:
        storage.engine.dispose()


def study_in(folder: Path, uuid: str = UUID) -> str:
    """A folder that holds a study, as far as a copy can see."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.json").write_text(json.dumps({"uuid": uuid}))
    return str(folder)


@pytest.mark.parametrize("owns", [True, False])
@pytest.mark.parametrize("version_0_1", [False, True])
def test_a_deleted_study_can_be_begun_again(copier: Copier, tmp_path: Path, owns: bool, version_0_1: bool) -> None:
    place = study_in(tmp_path / "runs" / "part2")
    noted = "" if version_0_1 else place
    old = copier(folder=noted, owns_database=owns)
    replay(old, study_of(4))
    assert old.finish(10) is None
    shutil.rmtree(place)
    study_in(tmp_path / "runs" / "part2", OTHER)
    if version_0_1 and not owns:  # nothing says whose it was
        with pytest.raises(Mismatch, match="another study 'part2', of an unknown folder"):
            copier(uuid=OTHER, folder=place, owns_database=owns)
        return
    new = copier(uuid=OTHER, folder=place, owns_database=owns)
    replay(new, study_of(1))
    assert new.finish(10) is None
    assert [trial.number for trial in trials(tmp_path)] == [0]


@pytest.mark.parametrize("doubt", ["alive", "another machine", "unreadable", "disk is gone"])
def test_the_copy_of_a_study_that_may_be_there_is_left_alone(copier: Copier, tmp_path: Path, doubt: str) -> None:
    place = study_in(tmp_path / "elsewhere" / "part2")
    old = copier(folder=place)
    if doubt == "another machine":
        old._storage.set_study_user_attr(old._claim(), "folder", f"far.example:{place}")
        shutil.rmtree(place)
    elif doubt == "unreadable":
        (Path(place) / "study.json").unlink()
        (Path(place) / "study.json").mkdir()
    elif doubt == "disk is gone":
        shutil.rmtree(tmp_path / "elsewhere")
    machine = "far.example" if doubt == "another machine" else socket.gethostname()
    with pytest.raises(Mismatch, match=f"another study 'part2', of {machine}:{place}; give this study another name"):
        copier(uuid=OTHER, folder=study_in(tmp_path / "runs" / "part2", OTHER))


def test_a_renamed_study_leaves_no_second_copy(copier: Copier, tmp_path: Path) -> None:
    place = study_in(tmp_path / "runs" / "part2")
    replay(copier(folder=place, owns_database=True), study_of(2))
    Path(place).rename(tmp_path / "runs" / "kept")
    renamed = copier(study="kept", folder=str(tmp_path / "runs" / "kept"), owns_database=True)
    replay(renamed, study_of(2))
    assert renamed.finish(10) is None
    assert names(tmp_path) == ["kept"]


def test_a_study_that_was_published_under_another_host_name_leaves_no_second_copy(copier: Copier, tmp_path: Path) -> None:
    """As in containers, each of which is a machine of its own."""
    place = study_in(tmp_path / "runs" / "part2")
    before = copier(folder=place, owns_database=True)
    before._storage.set_study_user_attr(before._claim(), "folder", f"far.example:{place}")
    copier(study="other", folder=study_in(tmp_path / "runs" / "other"), owns_database=True)
    assert names(tmp_path) == ["other", "part2"]  # a copied folder that did not go on
    Path(place).rename(tmp_path / "runs" / "kept")
    copier(study="kept", folder=str(tmp_path / "runs" / "kept"), owns_database=True)
    assert names(tmp_path) == ["kept", "other"]


@pytest.mark.parametrize(
    ("deleted", "uuid", "owns", "noted", "left"),
    [
        ("part2", UUID, True, "", []),
        pytest.param("part2", UUID, False, "", [], marks=pytest.mark.slow),
        pytest.param("part2", UUID, True, "far.example", [], marks=pytest.mark.slow),
        ("part2", UUID, False, "far.example", ["part2"]),  # perhaps of a copy on that machine
        pytest.param("part2", OTHER, True, "", [], marks=pytest.mark.slow),  # of an earlier study of that name
        pytest.param("part2", "", True, "", [], marks=pytest.mark.slow),  # study.json is damaged
        ("part2", OTHER, False, "", ["part2"]),  # a colleague's
        ("copy", UUID, True, "", ["part2"]),  # a copied folder that never went on
        pytest.param("copy", UUID, False, "", ["part2"], marks=pytest.mark.slow),
        ("kept", UUID, True, "", []),  # renamed by hand before
        pytest.param("kept", UUID, False, "", [], marks=pytest.mark.slow),
    ],
)
def test_what_was_published_of_a_deleted_study_is_removed_and_nothing_else(
    deleted: str, uuid: str, owns: bool, noted: str, left: list[str], copier: Copier, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    place = study_in(runs / "part2")
    copy = copier(folder=place, owns_database=owns)
    replay(copy, study_of(1))
    assert copy.finish(10) is None
    if noted:
        copy._storage.set_study_user_attr(copy._claim(), "folder", f"{noted}:{place}")
    if deleted == "copy":
        shutil.copytree(place, runs / "copy")
    elif deleted == "kept":
        Path(place).rename(runs / "kept")
    shutil.rmtree(runs / deleted)
    url = f"sqlite:///{tmp_path}/optuna.db"
    removed = remove_copies(url, CopyOwner(uuid=uuid, folder=str(runs / deleted), owns_database=owns))
    assert removed == ([] if left else ["part2"])
    assert names(tmp_path) == left


def test_a_database_that_is_not_there_is_not_made_and_one_that_is_broken_is_told(tmp_path: Path) -> None:
    owner = CopyOwner(uuid=UUID, folder=str(tmp_path / "runs" / "part2"), owns_database=True)
    assert remove_copies(f"sqlite:///{tmp_path}/none.db", owner) == []
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Unavailable, match=f"the database sqlite:///{tmp_path} cannot be used: .*unable to open database file"):
        remove_copies(f"sqlite:///{tmp_path}", owner)


def test_a_copied_folder_that_did_not_go_on_keeps_what_was_published_of_its_original(copier: Copier, tmp_path: Path) -> None:
    place = study_in(tmp_path / "runs" / "part2")
    replay(copier(folder=place, owns_database=True), study_of(2))
    copier(study="copy", folder=study_in(tmp_path / "runs" / "copy"), owns_database=True)
    assert names(tmp_path) == ["copy", "part2"]


def test_a_copied_runs_folder_takes_over_the_database_that_came_along(copier: Copier, tmp_path: Path) -> None:
    place = study_in(tmp_path / "original" / "part2")
    replay(copier(folder=place, owns_database=True), study_of(2))
    new = copier(uuid=OTHER, folder=study_in(tmp_path / "runs" / "part2", OTHER), owns_database=True)
    replay(new, study_of(2))
    assert new.finish(10) is None
    assert names(tmp_path) == ["part2"]
    assert len(trials(tmp_path)) == 2
    with pytest.raises(Mismatch):  # the original's own is in the database beside it, not here
        copier(folder=place)


@pytest.mark.parametrize("deleted", [0, 2, 3])
def test_a_trial_whose_folder_was_deleted_leaves_the_copy(copier: Copier, tmp_path: Path, deleted: int) -> None:
    runs = study_of(4)
    replay(copier(recorded=[0, 1, 2, 3]), runs)
    left = [run for run in runs if run[0].number != deleted]
    for _ in range(2):  # a second time nothing is written anew
        copy = copier(recorded=[record.number for record, _ in left])
        replay(copy, left)
        assert copy.finish(10) is None
    found = trials(tmp_path)
    assert [trial.number for trial in found] == list(range(4 if deleted < 3 else 3))
    missing = [trial.number for trial in found if trial.user_attrs.get("failure") == "there is no record of this trial"]
    assert missing == ([deleted] if deleted < 3 else [])


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("before", [2, 4])
def test_a_database_whose_file_is_deleted_or_moved_in_mid_study_is_written_anew(
    copier: Copier, tmp_path: Path, before: int, moved: bool
) -> None:
    """SQLite reports nothing, also where all trials were written before."""
    runs = study_of(4)
    copy = copier()
    replay(copy, runs[:before])
    for file in list(tmp_path.glob("optuna.db*")):
        if moved:
            file.rename(file.with_name(f"old-{file.name}"))
        else:
            file.unlink()
    replay(copy, runs[before:])
    assert copy.finish(10) is None
    assert [trial.user_attrs["run_id"] for trial in trials(tmp_path)] == [record.run_id for record, _ in runs]
