"""Studies that version 0.1 wrote (`recorded_0_1`) are read and resumed by the code of now, with the results that they had then.

They were killed, stopped and finished, and one run is a single one; `uninterrupted.json` holds what the same studies find when
nothing interrupts them. Their records still say `put_by` where a run was suspended.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from orchestrator.executors.in_process import InProcess
from orchestrator.record import Kind, RunRecord, Status
from orchestrator.sessions.single_run import SingleRun
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.clock import SystemClock
from tests.helpers.in_process_cli import call
from tests.helpers.paths import PLUGINS
from tests.helpers.study_invariants import assert_whole

RECORDED = Path(__file__).parent / "recorded_0_1"
UNINTERRUPTED: dict[str, list[dict[str, Any]]] = json.loads((RECORDED / "uninterrupted.json").read_text())
STUDIES = ("finished", "killed", "stopped", "train")
TRIALS = 12
QUIET = ("--mirror", "off", "--executor", "in-process")


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)
    monkeypatch.delenv("ORCHESTRATE_STORAGE", raising=False)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RECORDED / "studies", tmp_path / "runs"))


def found(folder: StudyFolder) -> list[dict[str, Any]]:
    return [
        {
            "number": record.number,
            "status": record.status.value,
            "params": dict(record.recipe.params),
            "val_acc": [epoch.val_acc for epoch in folder.folder(record).epochs()],
        }
        for record in folder.runs(Kind.TRIAL)
    ]


def resume(capsys: pytest.CaptureFixture[str], runs: Path, name: str) -> StudyFolder:
    result = call(capsys, "study", "slow_checkpointed_curves", "--study", name, "--trials", str(TRIALS), "--runs", runs, *QUIET)
    assert result.code == 0, result.messages
    folder = RunsFolder(runs).study(name)
    assert_whole(folder, TRIALS)
    return folder


def test_every_file_is_read(runs: Path) -> None:
    store = RunsFolder(runs)
    assert tuple(store.studies()) == STUDIES
    for folder in map(store.study, STUDIES):
        study = folder.read()
        assert study.name == folder.name
        records = folder.runs()
        assert records
        for record in records:
            assert record.provenance.study == study.uuid
            epochs = folder.folder(record).epochs()
            assert [epoch.number for epoch in epochs] == list(range(1, record.epochs + 1))


def test_a_record_of_a_suspended_run_is_read_under_the_name_that_it_had(runs: Path) -> None:
    run = RunsFolder(runs).study("stopped").run(Kind.TRIAL, "0005")
    assert '"put_by": true' in run.record_file.read_text()
    record = run.read()
    assert (record.status, record.suspended) == (Status.PAUSED, True)
    run.write(record)
    assert '"suspended": true' in run.record_file.read_text()
    assert "put_by" not in run.record_file.read_text()
    assert run.read() == record


@pytest.mark.slow
def test_a_killed_study_finds_what_it_would_have_found(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    assert found(resume(capsys, runs, "killed")) == UNINTERRUPTED["killed"]


@pytest.mark.slow
def test_a_stopped_study_finds_what_it_would_have_found_and_tries_its_enqueued_setting_once(
    capsys: pytest.CaptureFixture[str], runs: Path
) -> None:
    (waiting,) = (runs / "stopped" / "enqueued").iterdir()
    folder = resume(capsys, runs, "stopped")
    records = folder.runs(Kind.TRIAL)
    (tried,) = [record for record in records if record.enqueued is not None]
    assert tried.enqueued == waiting.name
    assert not waiting.exists()
    assert (tried.recipe.params["learning_rate"], tried.recipe.params["dropout"]) == (0.03, 0.1)
    assert sum(record.recipe.params["learning_rate"] == 0.03 for record in records) == 1
    assert tried.number == 6  # the first new one: trials 0 to 5 were begun before
    assert found(folder)[: tried.number] == UNINTERRUPTED["stopped"][: tried.number]


def test_a_finished_study_is_retrained_already_and_its_submission_is_written_again(
    capsys: pytest.CaptureFixture[str], runs: Path
) -> None:
    (retrain,) = (runs / "finished" / "retrain").iterdir()
    before = (retrain / "record.json").read_bytes()
    submission = retrain / "submission.csv"
    recorded = submission.read_bytes()
    submission.unlink()
    result = call(capsys, "retrain-best", "finished", "--runs", runs, *QUIET)
    assert result.code == 0, result.messages
    assert f"finished/retrain/{retrain.name} is trained already" in result.messages
    assert submission.read_bytes() == recorded
    assert (retrain / "record.json").read_bytes() == before
    assert [folder.name for folder in (runs / "finished" / "retrain").iterdir()] == [retrain.name]


def test_a_suspended_single_run_is_resumed_from_its_checkpoint(tmp_path: Path, runs: Path) -> None:
    folder = RunsFolder(runs).study("train")
    (record,) = folder.runs(Kind.SINGLE)
    assert (record.status, record.epochs) == (Status.PAUSED, 2)
    begun = folder.folder(record).epochs()
    ended = _train(folder, record, tmp_path)
    (expected,) = UNINTERRUPTED["train"]
    epochs = folder.folder(record).epochs()
    assert epochs[:2] == begun
    assert ended.status.value == expected["status"]
    for name in ("val_acc", "val_loss", "train_loss"):
        # The kernels that a processor gets differ in their last digits.
        assert [getattr(epoch, name) for epoch in epochs] == pytest.approx(expected[name], rel=1e-5)


def _train(folder: StudyFolder, record: RunRecord, tmp_path: Path) -> RunRecord:
    executor = InProcess(device="cpu", threads=1, data_folder=tmp_path / "data")
    with folder.lock():
        single = SingleRun(folder=folder, executor=executor, observers=[], clock=SystemClock(), say=lambda line: None)
        return single.run(record, "none")


@pytest.mark.parametrize("command", ["status", "leaderboard"])
@pytest.mark.parametrize("study", STUDIES)
def test_commands_that_only_read_understand_all_of_them(
    capsys: pytest.CaptureFixture[str], runs: Path, command: str, study: str
) -> None:
    result = call(capsys, command, study, "--runs", runs, "--format", "json")
    assert result.code == 0, result.messages
    assert json.loads(result.output)
    assert call(capsys, command, study, "--runs", runs).output


def test_a_model_whose_checkpoint_names_no_data_is_compared_by_its_record(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    words = ("submit", "finished/retrain/0000-7904284b", "--runs", runs, "--device", "cpu")
    file = runs / "finished" / "retrain" / "0000-7904284b" / "submission.csv"
    before = file.read_bytes()
    assert call(capsys, *words).code == 0
    assert call(capsys, "submit", "--check", file).code == 0
    assert file.read_bytes() == before
    record = file.with_name("record.json")
    digest = RunsFolder(runs).study("finished").run(Kind.RETRAIN, "0000-7904284b").read().provenance.data_digest
    record.write_text(record.read_text().replace(digest, "0" * 64))
    result = call(capsys, *words)
    assert (result.code, "digits is not what finished/retrain/0000-7904284b was trained on" in result.messages) == (65, True)
