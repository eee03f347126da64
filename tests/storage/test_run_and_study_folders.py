"""Run folders: what is written is read back, whatever is torn, and nothing leaves the runs folder."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import BadData, DiskError, InvalidInput, MissingInput, TryAgainLater, UnknownName
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch, Kind, Provenance, RunRecord, Status
from orchestrator.storage import checkpoint
from orchestrator.storage.run_folder import RunFolder
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_file import Search, StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.storage.study_options import StudyOptions
from orchestrator.support.serialization import dumps
from tests.helpers.records import PLAN_CONTENT
from tests.helpers.unreadable_places import refuse


def study_file(name: str = "s") -> StudyFile:
    options = StudyOptions(dataset="digits", seed=0, epochs=3, pruner="median", sampler="tpe")
    search = Search(plan="p", plan_content=PLAN_CONTENT, options=options, trials=3)
    return StudyFile(uuid="u", name=name, created=1.5, search=search)


def record(folder: StudyFolder, number: int = 7, kind: Kind = Kind.TRIAL) -> RunRecord:
    return RunRecord(
        run_id=folder.run_id(kind, f"{number:04d}"),
        kind=kind,
        number=number,
        recipe=Recipe(plan="p", trainer="t", dataset="d", epochs=3, seed=1),
        provenance=Provenance(study="u"),
    )


def epoch(number: int) -> Epoch:
    return Epoch(
        number=number,
        train_loss=0.1 / number,
        train_acc=1 / 3,
        val_loss=0.1,
        val_acc=2 / 3,
        lr=0.1,
        seconds=1,
        batch_losses=(0.5,),
    )


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    study = RunsFolder(tmp_path / "runs").study("s")
    study.write(study_file())
    return study


def test_a_study_and_its_runs_are_read_back(folder: StudyFolder) -> None:
    one = record(folder)
    folder.folder(one).write(one)
    assert folder.read() == study_file()
    assert folder.runs() == [one]
    assert folder.runs(Kind.RETRAIN) == []
    assert folder.folder(one).path == folder.path / "trials" / "0007"


@pytest.mark.parametrize("left", ["epochs.jsonl", "last.pt", "best.pt"])
def test_a_run_without_its_record_is_no_run_that_never_began(folder: StudyFolder, left: str) -> None:
    """It would be trained again, and its epochs be appended to those that are there."""
    run = folder.folder(record(folder))
    run.write(record(folder))
    (run.path / left).touch()
    run.record_file.unlink()
    with pytest.raises(BadData, match=f"record.json is missing beside {left}; restore it, or move .*0007 away"):
        folder.runs()
    (run.path / left).unlink()
    assert folder.runs() == []  # a kill came before the first record


def test_runs_without_their_study_belong_to_no_new_one(folder: StudyFolder) -> None:
    folder.folder(record(folder)).write(record(folder))
    folder.study_file.unlink()
    with pytest.raises(BadData, match=r"study\.json is missing beside 1 recorded run; restore it, or move .*s away"):
        folder.runs()


@pytest.mark.parametrize("place", ["trials", "trials/0007", "trials/0007/record.json"])
def test_a_link_whose_disk_is_gone_is_no_empty_place(folder: StudyFolder, tmp_path: Path, place: str) -> None:
    folder.folder(record(folder)).write(record(folder))
    (folder.path / place).rename(tmp_path / "elsewhere")
    (folder.path / place).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").rename(tmp_path / "gone")
    with pytest.raises((DiskError, BadData), match="is a link to"):
        folder.runs()


def test_a_line_torn_at_every_byte_costs_that_line_only(folder: StudyFolder) -> None:
    run = folder.folder(record(folder))
    run.write(record(folder))
    run.append(epoch(1))
    whole = run.epochs_file.read_bytes()
    second = (dumps(epoch(2)) + "\n").encode()
    for length in range(len(second)):
        run.epochs_file.write_bytes(whole + second[:length])
        assert run.epochs() == [epoch(1)]
    run.epochs_file.write_bytes(whole + second)
    assert run.epochs() == [epoch(1), epoch(2)]


def test_epochs_that_a_new_attempt_trains_again_are_dropped_with_a_torn_line(folder: StudyFolder) -> None:
    run = folder.folder(record(folder))
    run.write(record(folder))
    for number in (1, 2, 3):
        run.append(epoch(number))
    with run.epochs_file.open("ab") as stream:
        stream.write(b'{"number":4,"tra')
    run.replace_epochs([epoch(1)])
    run.append(epoch(2))
    assert run.epochs() == [epoch(1), epoch(2)]


def test_damage_inside_the_epochs_is_told(folder: StudyFolder) -> None:
    run = folder.folder(record(folder))
    run.write(record(folder))
    for number in (1, 2, 3):
        run.append(epoch(number))
    lines = run.epochs_file.read_bytes().split(b"\n")
    run.epochs_file.write_bytes(b"\n".join([lines[0], lines[1][:20], lines[2], b""]))
    with pytest.raises(BadData, match="line 2"):
        run.epochs()
    run.epochs_file.write_bytes(b"\n".join([lines[0], lines[2], b""]))
    with pytest.raises(BadData, match="holds epoch 3"):
        run.epochs()


def test_a_damaged_record_names_its_file(folder: StudyFolder) -> None:
    one = record(folder)
    run = folder.folder(one)
    run.write(one)
    for content in (b"", b"{", b'{"run_id": 3}', b"\xff\xfe", b"[]"):
        run.record_file.write_bytes(content)
        with pytest.raises(BadData, match=r"0007/record\.json"):
            folder.runs()


def test_a_run_folder_without_a_record_never_began(folder: StudyFolder) -> None:
    (folder.path / "trials" / "0003").mkdir(parents=True)
    assert folder.runs() == []


def test_a_record_that_cannot_be_written_leaves_the_old_one(folder: StudyFolder) -> None:
    one = record(folder)
    run = folder.folder(one)
    run.write(one)
    aside = run.path / "record.json.part"
    aside.mkdir()  # what is written aside finds its place taken: permissions do not stop root
    with pytest.raises(DiskError, match=r"record\.json"):
        run.write(record(folder, number=8))
    assert run.read() == one


def test_runs_that_cannot_be_a_folder_are_told(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    study = RunsFolder(tmp_path / "runs").study("s")
    with pytest.raises(DiskError, match="runs"):
        study.write(study_file())
    with pytest.raises(DiskError, match="runs"), study.lock():
        pass


@pytest.mark.parametrize("name", ["", "../x", "a b", "a/b", "x" * 65, ".hidden", "-x", "ä", "a\n", "a\0"])
def test_names_never_leave_the_runs_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be the name"):
        RunsFolder(tmp_path).study(name)


def test_one_process_holds_a_study_and_the_other_is_told_who(folder: StudyFolder) -> None:
    with folder.lock():
        assert folder.locked()
        other = StudyFolder(folder.path.parent, "s").lock()
        with pytest.raises(TryAgainLater, match=f"process {os.getpid()} on"):
            other.__enter__()
    assert not folder.locked()
    folder.refuse_if_locked()


def test_whoever_only_looks_does_not_keep_a_conductor_out(folder: StudyFolder) -> None:
    folder.lock_file.touch()
    with folder.lock_file.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        release = threading.Timer(0.2, fcntl.flock, (looking, fcntl.LOCK_UN))
        release.start()
        with folder.lock():
            assert folder.locked()
        release.join()


def test_the_lock_dies_with_its_process(folder: StudyFolder) -> None:
    program = (
        "import sys, time, pathlib\n"
        "from orchestrator.storage.study_folder import StudyFolder\n"
        "with StudyFolder(pathlib.Path(sys.argv[1]), 's').lock():\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, str(folder.path.parent)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(TryAgainLater, match=f"process {holder.pid}"):
        folder.refuse_if_locked()
    holder.kill()
    holder.communicate()
    with folder.lock():
        pass


def test_runs_are_found_by_their_ids(folder: StudyFolder) -> None:
    one = record(folder)
    folder.folder(one).write(one)
    store = RunsFolder(folder.path.parent)
    path = str(folder.folder(one).path)
    for name in ("s/trials/0007", "s/trials/7", path, "s/7", "s/0007", "s/trials/0007/", "s", "s/"):  # "s": it has one run
        assert store.find_run(name)[1].path == folder.folder(one).path
    folder.run(Kind.RETRAIN, "0007").write(replace(one, run_id="s/retrain/0007", kind=Kind.RETRAIN))
    for name in ("s/8", "s/trials/../trials/0007", "s/trials", "s"):
        with pytest.raises((UnknownName, InvalidInput)):
            store.find_run(name)
    with pytest.raises(UnknownName, match="known: s"):
        store.find_run("t/7")


def test_the_latest_study_is_the_one_worked_on_last(tmp_path: Path) -> None:
    store = RunsFolder(tmp_path)
    with pytest.raises(MissingInput, match="no study"):
        store.latest()
    for age, name in ((300, "a"), (100, "b"), (200, "c")):
        study = store.study(name)
        study.write(study_file(name))
        times = (study.study_file.stat().st_mtime - age,) * 2
        os.utime(study.study_file, times)
    assert store.latest().name == "b"
    with store.study("a").lock():
        pass
    assert store.latest().name == "a"


def test_the_latest_study_is_the_one_worked_on_last_though_the_clock_was_set_back(tmp_path: Path) -> None:
    store = RunsFolder(tmp_path)
    for name in ("a", "b"):
        store.study(name).write(study_file(name))
    later = time.time() + 3600  # by the clock of then
    os.utime(store.study("b").study_file, (later, later))
    assert store.latest().name == "b"
    with store.study("a").lock():
        pass
    assert store.latest().name == "a"


def test_another_study_that_cannot_be_read_does_not_refuse_this_one(tmp_path: Path) -> None:
    store = RunsFolder(tmp_path)
    for name in ("mine", "theirs"):
        store.study(name).write(study_file(name))
    with pytest.MonkeyPatch.context() as patch:
        refuse(patch, tmp_path / "theirs", errno.EACCES)
        with store.study("mine").lock():
            assert store.study("mine").locked()


def test_checkpoints_that_are_no_longer_needed_are_deleted(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.last_checkpoint.touch()
    run.best_checkpoint.touch()
    run.delete_checkpoints(best=False)
    assert (run.last_checkpoint.exists(), run.best_checkpoint.exists()) == (False, True)
    run.delete_checkpoints()
    assert not list(tmp_path.iterdir())


def test_only_the_current_attempt_can_replace_a_checkpoint(tmp_path: Path) -> None:
    """Whatever an earlier one had begun to write stays its own, and what a killed conductor left of it is cleared away."""
    run = RunFolder(tmp_path)
    run.begin_attempt(1)
    checkpoint.write(run.last_checkpoint, {"attempt": 1}, aside=run.attempt_folder(1))
    late = (run.attempt_folder(1) / "last.pt.part").open("wb")
    run.begin_attempt(2)
    with late:
        late.write(b"late")
    with pytest.raises(DiskError, match="attempt-1"):
        checkpoint.write(run.last_checkpoint, {"attempt": "late"}, aside=run.attempt_folder(1))
    assert checkpoint.read(run.last_checkpoint) == {"attempt": 1}
    checkpoint.write(run.last_checkpoint, {"attempt": 2}, aside=run.attempt_folder(2))
    (tmp_path / "ended-0123456789abcdef").mkdir()
    (tmp_path / "ended-0123456789abcdef" / "last.pt.part").touch()
    run.end_attempts()
    assert checkpoint.read(run.last_checkpoint) == {"attempt": 2}
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_a_finished_status_is_final() -> None:
    assert [status for status in Status if status.finished] == [Status.COMPLETE, Status.PRUNED, Status.FAILED]
