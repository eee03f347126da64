"""The W&B mirror, checked by W&B's own files read back."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from orchestrator import plugins
from orchestrator.hyperparameters import complete as complete_params
from orchestrator.observers.replay import replay
from orchestrator.observers.subprocess_observer import SubprocessObserver
from orchestrator.observers.wandb import Mirror, MirrorConfiguration, wandb_id
from orchestrator.record import INTERRUPTED, Kind, Status
from orchestrator.support.serialization import to_plain
from tests.helpers.observed_runs import curve, ended, eventually, gone, running, seen, study_of
from tests.helpers.paths import ROOT
from tests.helpers.subprocess_cli import ended as has_ended
from tests.helpers.wandb_files import COLUMNS, complete, read_folder
from tests.search.searched_settings import EVERY

pytestmark = pytest.mark.usefixtures("no_wandb_account")


def helpers() -> list[psutil.Process]:
    """The mirror's process and W&B's helper, children of this one; a zombie of an earlier test is neither."""
    return [process for process in psutil.Process().children(recursive=True) if not has_ended(process)]


def rows_of(folder: Path) -> int:
    """Epochs in W&B's files so far; a file whose header is not written yet has none."""
    return sum(len(run.history) for run in read_folder(folder).values() if run.run_id)


def test_a_trial_becomes_a_run_with_its_curve_config_and_summary(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SERVICE", "3-1-tcp-localhost-1")  # of some parent: must not be used
    observer = mirror()
    record, epochs = running(0), curve(3)
    observer.opened(record, [])
    for epoch in epochs:
        observer.measured(seen(record, epochs[: epoch.number]), epoch)
    observer.closed(ended(record, epochs))
    runs = complete(observer, tmp_path)
    assert list(runs) == ["3f2a9c1b-t0000"]
    run = runs["3f2a9c1b-t0000"]
    assert (run.name, run.group, run.job_type) == ("part2-t0000", "part2", "trial")
    assert run.project == "sp25-ds542-challenge"
    assert run.config["params"] == {"learning_rate": 0.01, "batch_size": 64, "model": {"depth": 18}}
    assert run.config["reference"] == "001-P2"
    assert run.config["seed"] == 0
    assert run.config["split"] == {"seed": 0, "train_on": "train"}
    assert run.config["provenance"]["commit"] == "abc123"
    assert run.config["provenance"]["finished"] == record.provenance.started + 10
    assert [row["_step"] for row in run.history] == [1, 2, 3]
    assert [set(row) for row in run.rows()] == [COLUMNS] * 3
    expected = [{name: e.number if name == "epoch" else getattr(e, name) for name in COLUMNS} for e in epochs]
    assert run.rows() == expected
    wanted = {"state": "COMPLETE", "best_val_acc": 0.3, "best_epoch": 3, "epochs": 3, "seconds": 1.5}
    assert wanted.items() <= run.summary.items()
    assert run.exit_code == 0


@pytest.mark.slow
def test_a_record_of_others_deletes_no_folder_of_another_run(tmp_path: Path) -> None:
    others = ["run-20260101_120000-3f2a9c1b-t0000", "offline-run-20260101_120000-33f2a9c1b-t0000", "runs-1-3f2a9c1b-t0000"]
    for name in others:
        (tmp_path / "wandb" / name).mkdir(parents=True)
    copies = Mirror(MirrorConfiguration(study="part2", folder=str(tmp_path)), "offline")
    record = running(0)
    for study in ("********", "*", "?", "../../x", "[0-9]", "", "-" * 8, "f2a9c1b", "run-20260101_120000-3f2a9c1b", "a\nb", "é"):
        other = replace(record, provenance=replace(record.provenance, study=study))
        assert re.fullmatch("[A-Za-z0-9]{1,8}-t0000", wandb_id(other))
        copies._remove_folders(other)
    assert sorted(path.name for path in (tmp_path / "wandb").iterdir()) == sorted(others)
    (tmp_path / "wandb" / f"run-2-{wandb_id(record)}").symlink_to(tmp_path, target_is_directory=True)
    copies._remove_folders(record)
    assert sorted(path.name for path in (tmp_path / "wandb").iterdir()) == sorted([*others[1:], f"run-2-{wandb_id(record)}"])


@pytest.mark.slow
def test_every_setting_of_the_documents_is_in_the_config_as_it_is_recorded(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path
) -> None:
    observer, expected = mirror(), {}
    for number, search in enumerate(EVERY):
        kinds = plugins.trainer(search.trainer).hyperparameters
        params = complete_params(kinds, {**search.fixed, search.setting: search.choices[-1]})
        record = running(number)
        record = replace(record, recipe=replace(record.recipe, trainer=search.trainer, params=params))
        observer.opened(record, [])
        observer.measured(seen(record, curve(1)), curve(1)[0])
        observer.closed(ended(record, curve(1)))
        expected[f"3f2a9c1b-t{number:04d}"] = to_plain(params)
    assert {name: run.config["params"] for name, run in complete(observer, tmp_path).items()} == expected


@pytest.mark.slow
def test_what_a_trainer_measured_besides_has_its_own_columns(mirror: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = mirror()
    record = running(0)
    epoch = replace(curve(1)[0], extra={"gradient_norm": 2.5, "lr": 0.25, "epoch": 7.0})
    observer.opened(record, [])
    observer.measured(seen(record, [epoch]), epoch)
    observer.closed(ended(record, [epoch]))
    run = complete(observer, tmp_path)["3f2a9c1b-t0000"]
    (row,) = run.rows()
    assert set(row) == COLUMNS | {"gradient_norm", "extra.lr", "extra.epoch"}
    assert (row["gradient_norm"], row["extra.lr"], row["extra.epoch"]) == (2.5, 0.25, 7.0)
    assert (row["lr"], row["epoch"], row["seconds"]) == (epoch.lr, 1, epoch.seconds)
    assert run.summary["seconds"] == record.seconds + epoch.seconds


def test_runs_at_the_same_time_stay_apart_and_every_state_is_told(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_ENTITY", "the-team")
    monkeypatch.setenv("WANDB_PROJECT", "the-project")
    observer = mirror()
    states = [Status.PRUNED, Status.FAILED, Status.RUNNING]
    records, epochs = [running(number) for number in range(3)], curve(2)
    for record in records:
        observer.opened(record, [])
    for epoch in epochs:
        for record in records:
            observer.measured(seen(record, epochs[: epoch.number]), epoch)
    for record, state in zip(records[:2], states[:2], strict=True):
        observer.closed(ended(record, epochs, state))
    final = running(0, Kind.RETRAIN)
    observer.opened(final, epochs)
    observer.closed(ended(final, epochs))
    runs = complete(observer, tmp_path)
    assert len(runs) == 4
    for number, state in enumerate(states):
        run = runs[f"3f2a9c1b-t{number:04d}"]
        assert [row["epoch"] for row in run.history] == [1, 2]
        assert run.config["seed"] == number
        assert run.summary["state"] == (INTERRUPTED if state is Status.RUNNING else state.value)
        assert (run.entity, run.project) == ("the-team", "the-project")
    failed = runs["3f2a9c1b-t0001"]
    assert (failed.summary["failure_kind"], failed.summary["failure_message"]) == ("crashed", "ValueError: broken")
    assert failed.exit_code == 1
    assert runs["3f2a9c1b-t0002"].exit_code == 255
    retrain = runs[f"3f2a9c1b-r0000-{final.recipe.fingerprint()[:8]}"]
    assert retrain.job_type == "retrain"
    assert (retrain.summary["test_loss"], retrain.summary["test_acc"]) == (0.2, 0.97)


@pytest.mark.slow
def test_a_run_opened_again_has_every_epoch_once(mirror: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = mirror()
    record, epochs = running(5), curve(4)
    observer.opened(record, [])
    for epoch in epochs[:3]:
        observer.measured(seen(record, epochs[: epoch.number]), epoch)
    again = replace(record, attempt=2)  # its worker died; the checkpoint was of epoch 2
    observer.opened(again, epochs[:2])
    observer.measured(seen(again, epochs[:3]), epochs[2])
    observer.closed(replace(seen(again, epochs[:3]), status=Status.PAUSED))
    observer.opened(seen(again, epochs[:3]), epochs[:3])
    observer.measured(seen(again, epochs), epochs[3])
    observer.closed(ended(again, epochs))
    runs = complete(observer, tmp_path)
    assert [row["epoch"] for row in runs["3f2a9c1b-t0005"].history] == [1, 2, 3, 4]
    assert runs["3f2a9c1b-t0005"].summary["state"] == "COMPLETE"


@pytest.mark.slow
def test_a_diverged_epoch_is_mirrored_as_it_is(mirror: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = mirror()
    record = running(0)
    diverged = replace(curve(1)[0], train_loss=float("nan"), val_loss=float("inf"))
    observer.opened(record, [])
    observer.measured(seen(record, [diverged]), diverged)
    observer.closed(ended(record, [diverged], Status.FAILED))
    row = complete(observer, tmp_path)["3f2a9c1b-t0000"].rows()[0]
    assert str(row["train_loss"]).lower() == "nan"
    assert str(row["val_loss"]).lower() in ("inf", "infinity")
    assert row["val_acc"] == 0.1


@pytest.mark.slow
def test_what_is_mirrored_already_is_left_alone_and_what_changed_is_not(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path
) -> None:
    runs = study_of(3)
    observer = mirror()
    replay(observer, runs)
    complete(observer, tmp_path)
    before = {file: file.stat().st_ino for file in tmp_path.glob("wandb/*run-*/*.wandb")}
    changed = replace(runs[2][0], best=None, epochs=1)
    observer = mirror()
    replay(observer, [*runs[:2], (changed, runs[2][1][:1])])
    found = complete(observer, tmp_path)
    after = {file: file.stat().st_ino for file in tmp_path.glob("wandb/*run-*/*.wandb")}
    assert len(before) == len(after) == 3
    assert len(set(before.items()) & set(after.items())) == 2
    assert [len(run.history) for _, run in sorted(found.items())] == [3, 3, 1]


@pytest.mark.slow
def test_a_killed_mirror_is_completed_from_the_records(mirror: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    runs = study_of(4)
    observer = mirror()
    replay(observer, runs[:2])
    record, epochs = runs[2]
    observer.opened(running(2), epochs[:1])
    eventually(lambda: len(list(tmp_path.glob("wandb/*run-*/*-t0002.wandb"))) == 1)
    for process in helpers():
        if "observers.subprocess_observer" in " ".join(process.cmdline()):
            process.kill()
    observer.measured(record, epochs[1])
    warning = observer.finish(20)
    assert warning is not None
    assert "orchestrate mirror" in warning
    observer = mirror()
    replay(observer, runs)
    found = complete(observer, tmp_path)
    assert [[row["epoch"] for row in run.history] for _, run in sorted(found.items())] == [[1, 2, 3]] * 4
    assert [run.summary["state"] for _, run in sorted(found.items())] == ["COMPLETE", "PRUNED", "FAILED", "COMPLETE"]


@pytest.mark.slow
def test_after_a_kill_of_everything_the_files_are_readable(mirror: Callable[..., SubprocessObserver], tmp_path: Path) -> None:
    observer = mirror()
    record, epochs = running(0), curve(3)
    observer.opened(record, epochs)

    eventually(lambda: rows_of(tmp_path) == 3)
    for process in helpers():
        process.kill()
    observer.finish(20)
    run = read_folder(tmp_path)["3f2a9c1b-t0000"]
    assert [row["epoch"] for row in run.history] == [1, 2, 3]
    assert run.exit_code is None
    assert run.config["params"]["learning_rate"] == 0.01


@pytest.mark.slow
def test_after_a_kill_of_the_conductor_all_is_gone_and_readable(tmp_path: Path) -> None:
    script = f"""
import time
from pathlib import Path
from orchestrator.observers.subprocess_observer import SubprocessObserver
from tests.helpers.observed_runs import curve, running
folder = Path({str(tmp_path)!r})
configuration = dict(study="part2", folder=str(folder), mode="offline")
observer = SubprocessObserver("orchestrator.observers.wandb:open_mirror", configuration, log=folder / "log", copy="it")
observer.opened(running(0), curve(3))
time.sleep(60)
"""
    root = ROOT
    with subprocess.Popen([sys.executable, "-c", script], cwd=root) as conductor:
        eventually(lambda: rows_of(tmp_path) == 3)
        processes = psutil.Process(conductor.pid).children(recursive=True)
        assert len(processes) == 2
        conductor.send_signal(signal.SIGKILL)
    eventually(lambda: all(map(gone, processes)), seconds=2)
    assert [row["epoch"] for row in read_folder(tmp_path)["3f2a9c1b-t0000"].history] == [1, 2, 3]


@pytest.mark.parametrize("content", ["raise ImportError('no wandb here')", "def init(*args, **kwargs): raise OSError('broken')"])
def test_a_missing_or_broken_library_is_a_warning(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    shim = tmp_path / "shim" / "wandb"
    shim.mkdir(parents=True)
    (shim / "__init__.py").write_text(content)
    monkeypatch.setenv("PYTHONPATH", str(shim.parent))
    observer = mirror()
    replay(observer, study_of(2))
    warning = observer.finish(20)
    assert warning is not None
    assert "orchestrate mirror" in warning
    problem = observer.ready(1)
    assert problem is not None
    assert problem.kind == "failed"


@pytest.mark.slow
def test_a_folder_named_wandb_in_the_working_directory_does_not_hide_the_library(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "__init__.py").write_text("raise ImportError('this is not W&B')")
    monkeypatch.chdir(tmp_path)
    observer = mirror()
    replay(observer, study_of(1))
    assert len(complete(observer, tmp_path)) == 1


def test_ids_of_all_runs_of_a_study_are_distinct_and_allowed() -> None:
    ids = [wandb_id(running(number, kind)) for number in range(3) for kind in Kind]
    assert len(set(ids)) == 3 * len(Kind)
    assert not set("".join(ids)) & set(":;,#?/'")


@pytest.mark.slow
def test_a_run_whose_files_are_deleted_while_it_is_written_is_written_again(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path
) -> None:
    epochs = curve(3)
    observer = mirror()
    observer.opened(running(0), [])
    eventually(lambda: len(list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))) == 1)
    shutil.rmtree(tmp_path / "wandb")
    for epoch in epochs:
        observer.measured(running(0), epoch)
    observer.closed(ended(running(0), epochs))
    (run,) = complete(observer, tmp_path).values()
    assert [row["epoch"] for row in run.rows()] == [1, 2, 3]


@pytest.mark.slow
def test_runs_whose_files_are_deleted_after_their_end_are_a_warning_with_its_cure(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path
) -> None:
    observer = mirror()
    replay(observer, study_of(2))
    eventually(lambda: len(list((tmp_path / "wandb").glob("offline-run-*/mirrored.sha256"))) == 2)
    shutil.rmtree(tmp_path / "wandb")
    warning = observer.finish(60)
    assert warning is not None
    assert "the files of 2 runs were deleted while it was written" in warning
    assert "orchestrate mirror" in warning
