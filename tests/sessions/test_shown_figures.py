"""What is shown agrees with what is kept: states, counts, and that programs are told all that a person is."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import orchestrator
from orchestrator.record import Evaluation, Failure, FailureKind, Kind, RunRecord, Status
from orchestrator.sessions.show import run_details
from orchestrator.sessions.single_run import result_line
from orchestrator.sessions.study import _announce, _summarise
from orchestrator.sessions.tables import frames
from orchestrator.storage.lock import COPIES, TRIALS, work_on
from orchestrator.storage.progress import reached_by
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.status import study_status
from orchestrator.storage.study_file import Search, StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.storage.study_options import Limits, StudyOptions
from tests.cli.studies import QUIET
from tests.helpers.in_process_cli import call
from tests.helpers.in_process_study import conduct, opened
from tests.helpers.paths import PLUGINS
from tests.helpers.records import PLAN_CONTENT, epochs_of, record_of

CURVE = epochs_of((0.4, 0.6, 0.5))
STATES = {Kind.TRIAL: "trials", Kind.RETRAIN: "retrains", Kind.SINGLE: "singles"}


def stored(tmp_path: Path, *records: RunRecord, **changes: Any) -> StudyFolder:
    """The study `part2`, which holds these runs."""
    folder = RunsFolder(tmp_path / "runs").study("part2")
    options = StudyOptions(dataset="digits", seed=0, epochs=6, pruner="median", sampler="tpe")
    space = {"learning_rate": {"name": "FloatDistribution", "attributes": {"low": 0.0, "high": 1.0, "step": None, "log": False}}}
    search = Search(plan="part2", plan_content={**PLAN_CONTENT, "space": space}, options=options, trials=12)
    folder.write(replace(StudyFile(uuid="0" * 32, name="part2", created=1.0, search=search), **changes))
    for record in records:
        folder.folder(record).write(record)
        folder.folder(record).replace_epochs(CURVE[: record.epochs])
    return folder


def shown_by_text(folder: StudyFolder, run: RunRecord, capsys: pytest.CaptureFixture[str]) -> str:
    words = call(capsys, "status", "part2", "--runs", folder.path.parent).output
    return words if run.kind is Kind.TRIAL else next(line for line in words.splitlines() if line.startswith(f"{run.run_id}:"))


def shown_by_json(folder: StudyFolder, run: RunRecord, capsys: pytest.CaptureFixture[str]) -> str:
    found = json.loads(call(capsys, "status", "part2", "--runs", folder.path.parent, "--format", "json").output)[STATES[run.kind]]
    (state,) = [name for name, count in found.items() if count] if run.kind is Kind.TRIAL else [found[run.run_id]]
    return str(state)


def shown_by_leaderboard(folder: StudyFolder, run: RunRecord, capsys: pytest.CaptureFixture[str]) -> str:
    rows = json.loads(call(capsys, "leaderboard", "part2", "--runs", folder.path.parent, "--format", "json").output)
    return str(rows[0]["state"])


def shown_by_frames(folder: StudyFolder, run: RunRecord, capsys: pytest.CaptureFixture[str]) -> str:
    return str(orchestrator.runs(folder.path.parent).runs["status"][0])


SHOWN = [shown_by_text, shown_by_json, shown_by_leaderboard, shown_by_frames]


@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.parametrize("kind", list(STATES))
@pytest.mark.parametrize("work", ["nothing", COPIES, TRIALS, "this run", "another run"])
def test_a_run_that_no_process_trains_is_interrupted(
    tmp_path: Path, kind: Kind, work: str, shown: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = record_of(3, CURVE, kind=kind, status=Status.RUNNING)
    folder = stored(tmp_path, run)
    works = {"this run": work_on(run), "another run": "retrain/0009-1a2b3c4d"}
    trained = work == "this run" or (work == TRIALS and kind is Kind.TRIAL)
    with nullcontext() if work == "nothing" else folder.lock(works.get(work, work)):
        state = shown(folder, run, capsys)
    assert ("INTERRUPTED" in state) is not trained
    assert ("RUNNING" in state) is trained


def test_a_setting_that_is_enqueued_again_is_that_of_an_interrupted_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = stored(tmp_path, record_of(3, CURVE, status=Status.RUNNING, params={"learning_rate": 0.5}))
    told = call(capsys, "enqueue", "part2", "learning_rate=0.5", "--runs", folder.path.parent).messages
    assert "the setting of part2/trials/0003 (INTERRUPTED)" in told


def test_the_holder_of_a_damaged_lock_may_be_training(tmp_path: Path) -> None:
    folder = stored(tmp_path, record_of(3, CURVE, status=Status.RUNNING))
    with folder.lock(COPIES):
        folder.lock_file.write_text('{"process": 1')
        assert study_status(folder).plain()["trials"]["RUNNING"] == 1
        folder.lock_file.write_text('{"process": 1, "host": "here", "since": "2026-01-01 00:00:00"}')  # of version 0.1
        assert study_status(folder).plain()["trials"]["RUNNING"] == 1


@pytest.mark.parametrize("kind", [Kind.TRIAL, Kind.RETRAIN, Kind.SINGLE])
def test_an_interrupted_run_has_the_same_epochs_wherever_it_is_shown(tmp_path: Path, kind: Kind) -> None:
    """Its record was written when it began, and knows none of them."""
    run = replace(record_of(3, [], kind=kind, status=Status.RUNNING), best=None)
    folder = stored(tmp_path, run)
    folder.folder(run).replace_epochs(CURVE)
    shown = run_details(folder, folder.folder(run))
    assert (shown["state"], shown["epochs"], shown["best"]["value"]) == ("INTERRUPTED", 3, 0.6)
    (row,) = frames(RunsFolder(tmp_path / "runs"), ["part2"]).runs.to_dict("records")
    assert (row["status"], row["epochs"], row["best_value"], row["seconds"]) == ("INTERRUPTED", 3, 0.6, shown["seconds"])
    if kind is not Kind.TRIAL:
        told = study_status(folder).plain()["runs"][run.run_id]
        assert (told["state"], told["epochs"], told["best"], told["best_epoch"]) == ("INTERRUPTED", 3, 0.6, 2)


@pytest.mark.parametrize("kind", [Kind.RETRAIN, Kind.SINGLE])
def test_a_run_that_was_trained_to_its_end_reads_so(tmp_path: Path, kind: Kind) -> None:
    run = replace(record_of(3, CURVE, kind=kind), epochs=6)
    assert reached_by(run) == "6 of 6 epochs, best after 2"
    assert result_line(run) == f"{run.run_id}: best val_acc 0.6000, 6 of 6 epochs, best after 2"
    told = study_status(stored(tmp_path, run)).text()
    assert f"{run.run_id}: COMPLETE, 6 of 6 epochs, best after 2, best val_acc 0.6000" in told
    assert reached_by(replace(run, epochs=2)) == "2 of 6 epochs"


def test_the_best_trial_of_a_study_reads_as_trained_to_its_end(tmp_path: Path) -> None:
    said: list[str] = []
    folder = stored(tmp_path, replace(record_of(3, CURVE), epochs=6))
    after = study_status(folder)
    _summarise(after, folder, said.append)
    told = "best val_acc 0.6000: part2/trials/0003, 6 of 6 epochs, best after 2"
    assert f"{told}; learning_rate 0.0123" in said
    assert told in after.text().splitlines()


def said_in(plain: Any) -> str:
    """All that a program is told, as texts."""
    if isinstance(plain, Mapping):
        return " ".join(f"{name} {said_in(item)}" for name, item in plain.items())
    if isinstance(plain, list):
        return " ".join(map(said_in, plain))
    return f"{plain:.4f} {plain}" if isinstance(plain, float) else str(plain)


def assert_told(text: str, plain: Mapping[str, Any]) -> None:
    """Every run and every figure of the text is in what programs are told."""
    told = said_in(plain)
    text = re.sub(r"begun \d{4}-\d\d-\d\d [\d:]+", "", text)  # which programs are told in seconds
    for item in re.findall(r"[\w-]+/\w+/[\w-]+|\d+(?:\.\d+)?", text):
        assert item in told, item


def test_programs_are_told_all_that_a_person_is(tmp_path: Path) -> None:
    failed = replace(
        record_of(7, (), status=Status.FAILED),
        failure=Failure(kind=FailureKind.CRASHED, message="ValueError: 4711 is odd"),
        setbacks=(Failure(kind=FailureKind.LOST, message="gone"),) * 5,
    )
    folder = stored(
        tmp_path,
        record_of(0, CURVE),
        record_of(1, CURVE, status=Status.PRUNED),
        record_of(2, CURVE, status=Status.PAUSED),
        record_of(3, CURVE[:1], status=Status.RUNNING),
        failed,
        replace(record_of(8, CURVE), replicate_of="part2/trials/0001"),
        replace(record_of(21, CURVE, kind=Kind.RETRAIN), test=Evaluation(images=179, loss=0.25, acc=0.8765)),
        replace(record_of(22, CURVE[:2], kind=Kind.SINGLE, status=Status.FAILED), failure=failed.failure),
        limits=Limits(patience=33),
        ended="the best trial was not improved by the 33 trials after it",
    )
    with folder.lock():
        status = study_status(folder)
        text, plain = status.text(), json.loads(json.dumps(status.plain()))
    assert_told(text, plain)
    failure = "1 failed as crashed, the last part2/trials/0007: ValueError: 4711 is odd"
    for words in (failure, "patience 33 trials", "5 retries", "test_acc 0.8765"):
        assert words in text


def test_a_dry_run_tells_programs_all_that_a_person_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PLUGINS)
    words = ("study", "curves", "--trials", "7", "--budget", "2h", "--runs", tmp_path / "runs", "--dry-run", *QUIET)
    text = call(capsys, *words).output
    plain = json.loads(call(capsys, *words, "--format", "json").output)
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name in ("time", "disk", "budget"):
            assert plain[name] == rest.strip()
    assert f"in {plain['folder']}: 7 of 7" in text
    assert plain["plan_name"] == "curves"


@pytest.mark.parametrize(("records", "told"), [((), "begun"), ((Status.RUNNING,), "resumed with 0 finished trials")])
def test_a_study_that_has_trials_is_resumed_not_begun(
    tmp_path: Path, records: tuple[Status, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PLUGINS)
    said: list[str] = []
    _announce(opened(tmp_path), [record_of(0, (), status=status) for status in records], said.append)
    assert said[0].startswith(f"study curves {told}: 12 trials of 8 epochs")
    assert any("reference setting" in line for line in said) is not bool(records)


def test_fewer_trials_than_there_are_leave_the_number_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PLUGINS)
    conduct(tmp_path, 3)
    words = ("study", "curves", "--trials", "2", "--runs", tmp_path / "runs", "--patience", "9", "--format", "json", *QUIET)
    again = call(capsys, *words)
    assert "study curves has 3 finished trials, and 2 are asked for: nothing to do" in again.messages
    assert json.loads(again.output)["asked"] == 3
    folder = RunsFolder(tmp_path / "runs").study("curves")
    assert study_status(folder).asked == 3
    assert folder.read().limits == Limits(patience=9)  # of the session that had nothing to do


@pytest.mark.parametrize("mode", ["off", pytest.param("offline", marks=pytest.mark.slow)])
def test_a_mirror_counts_what_each_copy_holds(
    tmp_path: Path, mode: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    folder = stored(tmp_path, record_of(0, CURVE), record_of(1, CURVE), record_of(0, CURVE, kind=Kind.RETRAIN))
    file = folder.read().require_search()
    content = {**file.plan_content, "metric": {"direction": "maximize"}}
    folder.write(replace(folder.read(), search=replace(file, plan_content=content)))
    told = call(capsys, "mirror", "part2", "--runs", folder.path.parent, "--mirror", mode)
    assert told.code == 0, told.messages
    held = {
        "off": "W&B has no copy of part2, because the mirror is off",
        "offline": "the W&B copy of part2 holds its 3 runs, offline",
    }
    assert told.messages.splitlines() == ["Optuna's copy of part2 holds its 2 trials", held[mode]]
