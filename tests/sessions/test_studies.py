"""`orchestrate studies`: the list of a runs folder, and what is done to whole studies."""

import csv
import errno
import io
import json
import os
import re
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.record import Kind, RunRecord, Status
from orchestrator.sessions.studies.listing import COLUMNS
from orchestrator.storage.identity import settled_in
from orchestrator.storage.lock import FOLDER, TRIALS
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_file import Search, StudyFile
from orchestrator.storage.study_options import StudyOptions
from tests.helpers.in_process_cli import call, content, refused
from tests.helpers.records import PLAN_CONTENT, epochs_of, record_of

CURVE = epochs_of((0.4, 0.6))
OPTIONS = StudyOptions(dataset="digits", seed=0, epochs=6, pruner="median", sampler="tpe")
UUIDS = {"search": "0" * 32, "train": "2" * 32}
Typed = Callable[[str], int]


@pytest.fixture(autouse=True)
def no_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORCHESTRATE_STORAGE", raising=False)


@pytest.fixture
def store(tmp_path: Path) -> RunsFolder:
    """A runs folder with the study `search`, of a plan's file, and the single runs of `train`, which was worked on last."""
    store = RunsFolder(tmp_path / "runs")
    search = Search(plan="/plans/part2.py", plan_content={**PLAN_CONTENT, "space": {}}, options=OPTIONS, trials=12)
    runs: dict[str, tuple[Search | None, list[RunRecord]]] = {
        "search": (
            search,
            [record_of(0, CURVE), record_of(1, CURVE[:1], status=Status.FAILED), record_of(0, CURVE, kind=Kind.RETRAIN)],
        ),
        "train": (None, [record_of(0, CURVE, kind=Kind.SINGLE)]),
    }
    for name, (searched, records) in runs.items():
        folder = store.study(name)
        folder.path.mkdir(parents=True)
        folder.write(settled_in(folder, StudyFile(uuid=UUIDS[name], name=name, created=1_700_000_000.5, search=searched)))
        for record in records:
            owned = replace(record, run_id=folder.run_id(record.kind, record.run_id[-4:]))
            owned = replace(owned, provenance=replace(record.provenance, study=UUIDS[name]))
            folder.folder(owned).write(owned)
            folder.folder(owned).replace_epochs(CURVE[: record.epochs])
        with folder.lock():
            pass
    return store


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Typed]:
    """Lets somebody sit at a terminal and type."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield lambda text: os.write(ours, text.encode())
    os.close(ours)


def total(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def test_all_studies_are_listed_the_latest_first(store: RunsFolder, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("studies", "list", "--runs", store.runs)
    rows = json.loads(call(capsys, *words, "--format", "json").output)
    assert [list(row) for row in rows] == [list(COLUMNS)] * 2
    train, search = rows
    assert search == {
        "study": "search",
        "plan": "/plans/part2.py",
        "dataset": "digits",
        "trials": 2,
        "asked": 12,
        "runs": 3,
        "state": "not running",
        "ended": "",
        **dict.fromkeys(("process", "host", "since", "work")),
        "metric": "val_acc",
        "best": 0.6,
        "best_run": "search/trials/0000",
        "created": "2023-11-14T22:13:20+00:00",
        "bytes": total(store.runs / "search"),
    }
    assert (train["study"], train["plan"], train["dataset"], train["asked"], train["best_run"]) == (
        *("train", "", "digits", 0),
        "train/single/0000",
    )
    table = call(capsys, "studies", "--runs", store.runs)  # the list is what no command means
    assert table.code == 0
    header, first, second = table.output.splitlines()
    assert header.split() == ["study", "plan", "dataset", "trials", "runs", "state", "best", "created", "size"]
    assert first.split()[:3] == ["train", "digits", "1"]
    assert second.startswith("search  part2  digits   2/12       3  not running  val_acc 0.6000  2023-11-1")
    assert call(capsys, "studies", "--runs", store.runs, "--format", "md").output.startswith("| study |")
    texts = list(csv.DictReader(io.StringIO(call(capsys, *words, "--format", "csv").output)))
    assert [list(row) for row in texts] == [list(COLUMNS)] * 2
    assert (texts[1]["trials"], texts[1]["asked"], texts[1]["process"], texts[1]["best"]) == ("2", "12", "", "0.6")


@pytest.mark.parametrize(
    ("work", "says"),
    [
        (TRIALS, "running, by process "),
        (FOLDER, "its folder is renamed, archived or deleted, by process "),
        ("retrain/0000", "trains retrain/0000, by process "),
    ],
)
def test_who_works_on_a_study_is_listed(work: str, says: str, store: RunsFolder, capsys: pytest.CaptureFixture[str]) -> None:
    with store.study("search").lock(work):
        row = json.loads(call(capsys, "studies", "--runs", store.runs, "--format", "json").output)[0]
        assert says in call(capsys, "studies", "--runs", store.runs).output
        status = call(capsys, "status", "search", "--runs", store.runs).output
    assert (row["state"], row["process"], row["work"]) == ("running", os.getpid(), work)
    assert ("its folder is being renamed, archived or deleted since " in status) == (work == FOLDER)


def test_why_a_study_ended_early_is_listed(store: RunsFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder = store.study("search")
    folder.write(replace(folder.read(), ended="the budget of 6 h is used"))
    assert "  ended early: the budget of 6 h is used  " in call(capsys, "studies", "--runs", store.runs).output


@pytest.mark.parametrize("damaged", ["study.json", "trials/0000/record.json"])
def test_a_damaged_study_does_not_hide_the_others(damaged: str, store: RunsFolder, capsys: pytest.CaptureFixture[str]) -> None:
    (store.runs / "search" / damaged).write_text("{")
    result = call(capsys, "studies", "--runs", store.runs, "--format", "json")
    rows = {row["study"]: row for row in json.loads(result.output)}
    assert result.code == 0
    assert f"warning: {store.runs / 'search' / damaged} is damaged" in result.messages
    assert (rows["search"]["state"], rows["search"]["trials"]) == ("damaged", None)
    assert rows["train"]["runs"] == 1
    assert "damaged" in call(capsys, "studies", "--runs", store.runs).output
    assert call(capsys, "studies", "--runs", store.runs, "--format", "csv").code == 0


@pytest.mark.parametrize(("form", "output"), [("table", ""), ("md", ""), ("json", "[]\n"), ("csv", ",".join(COLUMNS) + "\n")])
def test_where_there_is_no_study_none_is_listed(
    form: str, output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = call(capsys, "studies", "--runs", tmp_path / "none", "--format", form)
    assert (result.code, result.output) == (0, output)
    assert f"there is no study in {tmp_path / 'none'}; begin one with: orchestrate study PLAN" in result.messages


def test_a_renamed_study_is_the_same_study(store: RunsFolder, capsys: pytest.CaptureFixture[str]) -> None:
    before = store.study("train").recorded()
    result = call(capsys, "studies", "rename", "train", "singles", "--runs", store.runs)
    assert (result.code, result.output) == (0, ""), result.messages
    assert "study 'singles' was called 'train'; its runs are called singles/… now" in result.messages
    folder = store.study("singles")
    assert store.studies() == ["search", "singles"]
    assert folder.recorded() == replace(before, name="singles", place=str(folder.path))
    assert [record.run_id for record in folder.runs()] == ["singles/single/0000"]
    assert store.latest().name == "singles"
    assert not folder.locked()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("rename search search", 2, "has that name already"),
        ("rename search train", 2, "is there already; choose another name"),
        ("rename search file", 2, "is there already; choose another name"),
        ("rename search ../out", 2, "cannot be the name of a study"),
        ("rename serch other", 2, "unknown study 'serch'; known: search, train"),
        ("delete serch --yes", 2, "unknown study 'serch'; known: search, train"),
        ("archive serch", 2, "unknown study 'serch'; known: search, train"),
        ("archive search --storage sqlite:///x.db", 2, "--storage would do nothing without --delete"),
        ("archive search --output runs/search/trials/x.tar.gz", 2, "lies in the folder that is to be archived"),
        ("archive search --output runs/search", 2, "lies in the folder that is to be archived"),
        ("archive search --output runs/file", 2, "is there already; move it away, or choose another file"),
        ("archive search --output nowhere/x.tar.gz", 74, "No such file or directory"),
        ("delete search", 2, "this would delete study search with 2 trials, 1 retrain, "),
        ("remove search", 2, "unknown command 'remove'"),
    ],
)
def test_what_is_refused_changes_nothing(
    words: str, code: int, says: str, store: RunsFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.runs.parent)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))  # no terminal
    (store.runs / "file").touch()
    before = content(store.runs.parent)
    refused(capsys, code, "studies", *words.split(), "--runs", "runs", says=(says,))
    assert content(store.runs.parent) == before
    assert store.latest().name == "train"


COMMANDS = ("rename search other", "delete search --yes", "archive search", "archive search --delete")


@pytest.mark.parametrize("words", COMMANDS)
def test_a_running_study_is_left_alone(words: str, store: RunsFolder, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(store.runs.parent)
    with store.study("search").lock():
        refused(capsys, 75, "studies", *words.split(), "--runs", store.runs, says=("study 'search' is being run by process",))
    assert content(store.runs.parent) == before


@pytest.mark.parametrize("words", COMMANDS)
@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC])
def test_a_disk_that_cannot_be_written_changes_nothing(
    words: str, number: int, store: RunsFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(store.runs.parent)

    def refusing(source: object, target: object, **rest: object) -> None:
        raise OSError(number, os.strerror(number), str(source))

    monkeypatch.setattr(os, "rename", refusing)
    refused(capsys, 74, "studies", *words.split(), "--runs", store.runs, says=(os.strerror(number),))
    monkeypatch.undo()
    assert content(store.runs.parent) == before
    assert store.latest().name == ("search" if words.startswith("rename") else "train")


def test_a_folder_in_which_nothing_may_be_deleted_refuses_the_whole(
    store: RunsFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its mode says to everybody but root."""
    before = content(store.runs.parent)
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("/trials") and allowed(path, mode))
    for words in ("delete search --yes", "archive search --delete"):
        refused(
            capsys, 74, "studies", *words.split(), "--runs", store.runs, says=("search/trials: Permission denied; nothing was",)
        )
        assert content(store.runs.parent) == before


@pytest.mark.parametrize(
    ("answer", "deleted"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("yellow\n", False), ("\x04", False)]
)
def test_it_is_asked_before_a_study_is_deleted(
    answer: str, deleted: bool, store: RunsFolder, typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(answer)
    result = call(capsys, "studies", "delete", "search", "--runs", store.runs)
    assert (result.code, result.output) == (0, "")
    asked, done = result.messages.splitlines()
    size = r"this deletes study search with 2 trials, 1 retrain, [0-9.]+ kB, in .*/runs/search\. Delete it\? \[y/N\]"
    assert re.fullmatch(size, asked)
    assert done.startswith("deleted study search with " if deleted else "nothing was deleted")
    assert store.studies() == (["train"] if deleted else ["search", "train"])
    assert sorted(path.name for path in store.runs.iterdir()) == store.studies()


def test_a_damaged_study_can_be_deleted_and_what_a_killed_deletion_left_goes_with_it(
    store: RunsFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (store.runs / "search" / "study.json").write_text("{")
    (store.runs / ".deleted-other-0123abcd" / "trials").mkdir(parents=True)
    (store.runs / ".deleted-mine").mkdir()
    result = call(capsys, "studies", "delete", "search", "--yes", "--runs", store.runs)
    assert result.code == 0, result.messages
    assert sorted(path.name for path in store.runs.iterdir()) == [".deleted-mine", "train"]


@pytest.mark.parametrize("runs", ["runs", ".", str])
@pytest.mark.parametrize("output", [None, "kept", "kept/mine.tgz"])
def test_an_archive_holds_the_study_and_restores_it(
    runs: str | type[str],
    output: str | None,
    store: RunsFolder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside the runs folder, however that is named, or where it is asked for."""
    named = runs if isinstance(runs, str) else str(store.runs)
    monkeypatch.chdir(store.runs if named == "." else store.runs.parent)
    Path("kept").mkdir()
    before = content(store.runs / "search")
    words = ("studies", "archive", "search", "--runs", named, *(() if output is None else ("--output", output)))
    result = call(capsys, *words)
    assert (result.code, result.output) == (0, ""), result.messages
    archived, restore = result.messages.splitlines()
    file = {None: store.runs.parent / "search.tar.gz", "kept": Path("kept/search.tar.gz")}.get(output, Path(str(output)))
    assert archived.startswith("archived and verified: study search with 2 trials, 1 retrain, ")
    assert file.is_file()
    with tarfile.open(file) as packed:
        names = packed.getnames()
    assert {name.split("/")[0] for name in names} == {"search"}
    assert "search/study.lock" not in names
    assert content(store.runs / "search") == before
    assert store.latest().name == "train"
    refused(capsys, 2, *words, says=("is there already",))
    assert call(capsys, "studies", "delete", "search", "--yes", "--runs", named).code == 0
    assert os.system(restore.removeprefix("to restore it: ")) == 0
    assert content(store.runs / "search") == before
    assert json.loads(call(capsys, "status", "search", "--runs", named, "--format", "json").output)["finished"] == 2


def test_a_study_is_deleted_once_it_is_archived(
    store: RunsFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = call(capsys, "studies", "archive", "search", "--delete", "--runs", store.runs)
    assert result.code == 0, result.messages
    assert store.studies() == ["train"]
    assert [path.name for path in store.runs.iterdir()] == ["train"]
    with tarfile.open(store.runs.parent / "search.tar.gz") as packed:
        assert "search/trials/0001/record.json" in packed.getnames()
    assert result.messages.splitlines()[-1].startswith("deleted study search with 2 trials, 1 retrain, ")


def test_a_full_disk_leaves_no_archive_and_deletes_nothing(store: RunsFolder, capsys: pytest.CaptureFixture[str]) -> None:
    import resource

    (store.runs / "search" / "trials" / "0000" / "best.pt").write_bytes(os.urandom(200_000))
    before = content(store.runs.parent)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    try:
        refused(
            capsys,
            74,
            "studies",
            "archive",
            "search",
            "--delete",
            "--runs",
            store.runs,
            says=("cannot write", "search.tar.gz.part"),
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert content(store.runs.parent) == before
