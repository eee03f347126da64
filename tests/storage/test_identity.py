"""A study is what its folder says: its runs are called by the folder's name, and a copy is another study once it goes on."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import BadData, DiskError
from orchestrator.observers.wandb import wandb_id
from orchestrator.record import Kind, RunRecord
from orchestrator.storage import checkpoint
from orchestrator.storage.identity import identity, settled_in
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_file import Search, StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.storage.study_options import StudyOptions
from orchestrator.submission.predictor import load_predictor
from orchestrator.support.serialization import to_plain
from tests.helpers.in_process_cli import call, refused
from tests.helpers.records import PLAN_CONTENT, epochs_of, record_of

UUID, TRAIN_UUID = "0" * 32, "2" * 32
RUN_ID = re.compile(r"[\w-]+/(?:trials|retrain|single)/[\w-]+")
LOOKS: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("status", "--format", "json"),
    ("leaderboard",),
    ("leaderboard", "--format", "csv"),
    ("leaderboard", "--format", "json"),
)


def write_runs(folder: StudyFolder, *records: RunRecord) -> None:
    for record in records:
        run = folder.folder(record)
        run.write(record)
        for epoch in epochs_of((0.4, 0.5)):
            run.append(epoch)


@pytest.fixture
def store(tmp_path: Path) -> RunsFolder:
    """A runs folder with the searching study `old`, one trial of which repeats another, and the single runs of `old-train`."""
    store = RunsFolder(tmp_path / "runs")
    options = StudyOptions(dataset="digits", seed=0, epochs=6, pruner="median", sampler="tpe")
    search = Search(plan="part2", plan_content=PLAN_CONTENT, options=options, trials=2)
    for name, uuid, searched in (("old", UUID, search), ("old-train", TRAIN_UUID, None)):
        folder = store.study(name)
        folder.path.mkdir(parents=True)
        folder.write(settled_in(folder, StudyFile(uuid=uuid, name=name, created=1.0, search=searched)))
    epochs = epochs_of((0.4, 0.5))
    write_runs(
        store.study("old"),
        record_of(0, epochs, study="old"),
        replace(record_of(1, epochs, study="old"), replicate_of="old/trials/0000"),
        record_of(0, epochs, study="old", kind=Kind.RETRAIN),
    )
    single = record_of(0, epochs, study="old-train", kind=Kind.SINGLE)
    write_runs(store.study("old-train"), replace(single, provenance=replace(single.provenance, study=TRAIN_UUID)))
    return store


def go_on(store: RunsFolder, name: str) -> str:
    """What a command that works on the study does first. Returns what its user is told."""
    found = identity(store.study(name), store)
    store.study(name).update(found.file)
    return found.note


def rename(store: RunsFolder) -> RunsFolder:
    for name in store.studies():
        (store.runs / name).rename(store.runs / name.replace("old", "kept"))
    return store


def copy(store: RunsFolder) -> RunsFolder:
    for name in store.studies():
        shutil.copytree(store.runs / name, store.runs / name.replace("old", "copy"))
    return store


def copy_all(store: RunsFolder) -> RunsFolder:
    return RunsFolder(Path(shutil.copytree(store.runs, store.runs.with_name("elsewhere"))))


@pytest.mark.parametrize("change", [rename, copy, copy_all])
def test_every_run_that_is_printed_is_one_that_commands_take(
    store: RunsFolder, change: Callable[[RunsFolder], RunsFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    store = change(store)
    for name in store.studies():
        for words in LOOKS:
            shown = call(capsys, words[0], name, *words[1:], "--runs", store.runs)
            assert shown.code == 0, shown.messages
            found = set(RUN_ID.findall(shown.output))
            assert found
            assert {run.partition("/")[0] for run in found} == {name}
            for run in found:
                assert call(capsys, "recipe", run, "--runs", store.runs).code == 0


def test_a_trial_that_repeats_another_names_it_as_it_is_called_now(store: RunsFolder) -> None:
    folder = rename(store).study("kept")
    assert folder.run(Kind.TRIAL, "0001").read().replicate_of == "kept/trials/0000"
    assert [record.replicate_of for record in folder.runs(Kind.TRIAL)] == [None, "kept/trials/0000"]
    assert folder.read().name == "kept"


@pytest.mark.parametrize(("name", "uuid"), [("old", UUID), ("old-train", TRAIN_UUID)])
def test_a_renamed_study_stays_what_it_was_and_its_user_is_told_once(store: RunsFolder, name: str, uuid: str) -> None:
    kept = name.replace("old", "kept")
    rename(store)
    assert go_on(store, kept) == f"study {kept!r} was called {name!r}; its runs are called {kept}/… now"
    assert store.study(kept).recorded().uuid == uuid
    assert go_on(store, kept) == ""


@pytest.mark.parametrize("first", ["old", "copy"])
@pytest.mark.parametrize(("kind", "uuid"), [("", UUID), ("-train", TRAIN_UUID)])
def test_a_copied_study_has_an_identity_of_its_own_whichever_goes_on_first(
    store: RunsFolder, first: str, kind: str, uuid: str
) -> None:
    copy(store)
    told = {name: go_on(store, name + kind) for name in sorted(("old", "copy"), reverse=first == "old")}
    assert told["old"] == ""
    assert f"'copy{kind}' is a copy of {store.runs / 'old'}{kind}" in told["copy"]
    copied = store.study(f"copy{kind}").recorded()
    assert copied.copied_from == (uuid,)
    assert store.study(f"old{kind}").recorded().uuid == uuid != copied.uuid
    ids = [
        {wandb_id(record, folder.recorded().uuid) for record in folder.runs()}
        for folder in (store.study(f"old{kind}"), store.study(f"copy{kind}"))
    ]
    assert len(ids[0] | ids[1]) == len(ids[0]) + len(ids[1])
    assert go_on(store, f"copy{kind}") == ""
    assert store.study(f"copy{kind}").recorded() == copied


def settle_renamed_then_copied(store: RunsFolder) -> tuple[RunsFolder, set[str]]:
    """`mv old kept; cp -r kept copy`, and both go on."""
    rename(store)
    shutil.copytree(store.runs / "kept", store.runs / "copy")
    return store, {"kept", "copy"}


def settle_copied_twice(store: RunsFolder) -> tuple[RunsFolder, set[str]]:
    for name in ("one", "two"):
        shutil.copytree(store.runs / "old", store.runs / name)
    return store, {"old", "one", "two"}


def settle_copied_back(store: RunsFolder) -> tuple[RunsFolder, set[str]]:
    """`mv old kept; cp -r kept old`: the copy has the name and the place of the original."""
    (store.runs / "old").rename(store.runs / "kept")
    shutil.copytree(store.runs / "kept", store.runs / "old")
    return store, {"kept", "old"}


def settle_original_deleted(store: RunsFolder) -> tuple[RunsFolder, set[str]]:
    settle_copied_twice(store)
    shutil.rmtree(store.runs / "old")
    return store, {"one", "two"}


@pytest.mark.parametrize("settle", [settle_renamed_then_copied, settle_copied_twice, settle_copied_back, settle_original_deleted])
def test_however_it_was_copied_no_two_studies_share_a_uuid(
    store: RunsFolder, settle: Callable[[RunsFolder], tuple[RunsFolder, set[str]]]
) -> None:
    store, names = settle(store)
    for name in sorted(names):
        go_on(store, name)
    uuids = {name: store.study(name).recorded().uuid for name in names}
    assert len(set(uuids.values())) == len(names)
    assert UUID in uuids.values()
    if "kept" in names:
        assert uuids["kept"] == UUID  # its folder is the one that was worked on


def test_a_copied_runs_folder_has_studies_of_its_own(store: RunsFolder) -> None:
    other = copy_all(store)
    assert "is a copy of" in go_on(other, "old")
    assert go_on(store, "old") == ""
    assert store.study("old").recorded().uuid != other.study("old").recorded().uuid


@pytest.mark.parametrize("move", ["moved", "restored", "linked"])
def test_a_study_that_was_moved_restored_or_reached_through_a_link_is_no_copy(store: RunsFolder, move: str) -> None:
    there = store
    if move == "restored":
        shutil.copytree(store.runs / "old", store.runs.parent / "backup")
        shutil.rmtree(store.runs / "old")
        (store.runs.parent / "backup").rename(store.runs / "old")
    elif move == "moved":
        there = RunsFolder(store.runs.rename(store.runs.with_name("elsewhere")))
    else:
        there = RunsFolder(store.runs.with_name("link"))
        there.runs.symlink_to(store.runs)
    assert go_on(there, "old") == ""
    assert there.study("old").recorded().uuid == UUID


def test_a_study_of_version_0_1_is_known_by_its_name(store: RunsFolder) -> None:
    """Its study.json has neither place nor number."""
    file = store.study("old").study_file
    plain = json.loads(file.read_text())
    file.write_text(
        json.dumps({name: item for name, item in plain.items() if name not in ("place", "folder_number", "copied_from")})
    )
    shutil.copytree(store.runs / "old", store.runs / "copy")
    assert "is a copy of" in go_on(store, "copy")
    assert go_on(store, "old") == ""
    assert store.study("old").recorded().uuid == UUID


@pytest.mark.parametrize("kind", [Kind.TRIAL, Kind.RETRAIN])
@pytest.mark.parametrize("words", [("status", "old"), ("leaderboard", "old"), ("recipe",), ("retrain",), ("mirror", "old")])
def test_a_run_of_another_study_is_refused_though_its_number_fits(
    store: RunsFolder, kind: Kind, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = replace(record_of(2, (), study="old", kind=kind), provenance=replace(record_of(2, ()).provenance, study="1" * 32))
    write_runs(store.study("old"), foreign)
    run = store.study("old").folder(foreign)
    words = words if len(words) == 2 else (*words, foreign.run_id)
    refused(capsys, 65, *words, "--runs", store.runs, says=("is the record of a run of another study; move", str(run.path)))


def test_a_copy_goes_on_with_the_runs_that_it_was_copied_with(store: RunsFolder) -> None:
    copy(store)
    go_on(store, "copy")
    assert len(store.study("copy").runs()) == 3
    shutil.copytree(store.runs / "copy", store.runs / "second")
    go_on(store, "second")
    assert len(store.study("second").recorded().copied_from) == 2
    assert len(store.study("second").runs()) == 3


def test_the_weights_of_another_run_are_not_predicted_with(store: RunsFolder) -> None:
    folder = store.study("old")
    records = folder.runs(Kind.TRIAL)
    checkpoint.write(folder.folder(records[0]).best_checkpoint, {"recipe": to_plain(records[1].recipe), "snapshot": {}})
    with pytest.raises(BadData, match=r"best\.pt is of another run than .*record\.json"):
        load_predictor(folder.folder(records[0]), "cpu")


@pytest.mark.parametrize("lost", ["renamed", "deleted", "lock"])
def test_a_study_whose_folder_is_moved_or_deleted_is_not_worked_on_any_more(store: RunsFolder, lost: str) -> None:
    folder = store.study("old")
    record = folder.runs(Kind.TRIAL)[0]
    with folder.lock():
        assert not folder.stop_requested()
        if lost == "renamed":
            folder.path.rename(store.runs / "kept")
        elif lost == "deleted":
            shutil.rmtree(folder.path)
        else:
            folder.lock_file.unlink()
        with pytest.raises(DiskError, match="was moved or deleted while this command worked on it"):
            folder.stop_requested()
        if lost != "lock":
            with pytest.raises(DiskError):
                folder.run(Kind.TRIAL, "0002").write(record)
    assert folder.path.exists() == (lost == "lock")
