"""From nothing to a submission, as a user types it: plan, study, pruning, copies, leaderboard, retrain, submission."""

import csv
import io
import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import orchestrator
from orchestrator import plugins
from orchestrator.record import Kind, RunRecord, Status
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from tests.helpers.in_process_cli import call
from tests.helpers.study_invariants import published
from tests.helpers.subprocess_cli import run
from tests.helpers.wandb_files import read_folder

TRIALS = 8
STUDY = "part1-digits"
SAMPLED = ["batch_size", "learning_rate", "weight_decay", "label_smoothing", "dropout"]


@dataclass(frozen=True)
class Walked:
    """Where the path was walked, and what was printed on it."""

    folder: Path
    study_messages: str
    retrain_messages: str

    @property
    def study(self) -> StudyFolder:
        return RunsFolder(self.folder / "runs").known(STUDY)

    @property
    def retrain(self) -> RunRecord:
        (record,) = self.study.runs(Kind.RETRAIN)
        return record


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    folder = tmp_path_factory.mktemp("a folder with späces")
    output, study_messages = run("study", "part1", "--trials", str(TRIALS), "--dataset", "digits", folder=folder)
    assert output == ""
    _, retrain_messages = run("retrain-best", "--epochs", "6", folder=folder)
    return Walked(folder, study_messages, retrain_messages)


def test_the_study_has_its_trials_and_learned(walked: Walked) -> None:
    records = walked.study.runs(Kind.TRIAL)
    assert len(records) == TRIALS
    assert Counter(record.status for record in records)[Status.PRUNED] >= 1
    assert not [record for record in records if record.status is Status.FAILED]
    complete = [record.best.value for record in records if record.best and record.status is Status.COMPLETE]
    assert max(complete) >= 0.9


def test_every_record_says_where_its_numbers_come_from(walked: Walked) -> None:
    uuid = walked.study.read().uuid
    for record in walked.study.runs():
        provenance = record.provenance
        assert provenance.study == uuid
        assert provenance.device == "cpu" or provenance.device.startswith(("cuda", "mps"))
        assert provenance.threads >= 1
        assert provenance.versions["torch"] == torch.__version__.partition("+")[0]
        assert len(provenance.data_digest) == 64
        assert provenance.finished is not None
        assert provenance.finished >= provenance.started
    seeds = [record.recipe.seed for record in walked.study.runs()]
    assert len(set(seeds)) == len(seeds)


def test_one_line_for_each_finished_trial_when_piped(walked: Walked) -> None:
    told = [line for line in walked.study_messages.splitlines() if line.startswith("[")]
    lines = [line for line in told if " PAUSED " not in line]
    assert (
        len({line.split("trial ")[1].split()[0] for line in told if " PAUSED " in line}) == TRIALS
    )  # each after its first epochs
    assert len(lines) == TRIALS
    assert [line.split("]")[0] for line in lines] == [f"[{number}/{TRIALS}" for number in range(1, TRIALS + 1)]
    assert all("best" in line for line in lines)
    assert "\x1b" not in walked.study_messages


def test_stock_optuna_reads_the_published_study(walked: Walked) -> None:
    with published(STUDY, f"sqlite:///{walked.folder / 'runs' / 'optuna.db'}") as copy:
        records = walked.study.runs(Kind.TRIAL)
        assert [trial.number for trial in copy.trials] == [record.number for record in records]
        for trial, record in zip(copy.trials, records, strict=True):
            assert trial.params == {name: record.recipe.params[name] for name in SAMPLED}
            epochs = walked.study.folder(record).epochs()
            best_so_far = [max(epoch.val_acc for epoch in epochs[: index + 1]) for index in range(len(epochs))]
            assert list(trial.intermediate_values.values()) == best_so_far
            assert trial.value == best_so_far[-1]
        best = min((record for record in records if record.status is Status.COMPLETE), key=RunRecord.order)
        assert copy.best_value == best.best.value if best.best else None


def test_the_mirror_holds_every_run_as_it_was_recorded(walked: Walked) -> None:
    mirrored = read_folder(walked.study.path)
    records = walked.study.runs()
    assert len(mirrored) == len(records) == TRIALS + 1
    uuid = walked.study.read().uuid
    assert all(name.startswith(uuid[:8]) for name in mirrored)
    for record in records:
        suffix = f"-t{record.number:04d}" if record.kind is Kind.TRIAL else f"-r{record.number:04d}-"
        (name,) = [name for name in mirrored if suffix in name]
        copy = mirrored[name]
        assert copy.group == STUDY
        assert copy.job_type == record.kind.value
        epochs = walked.study.folder(record).epochs()
        columns = ("train_loss", "train_acc", "val_loss", "val_acc", "lr", "seconds")
        assert copy.rows() == [
            {"epoch": epoch.number, **{column: getattr(epoch, column) for column in columns}} for epoch in epochs
        ]
        assert copy.summary["state"] == record.status.value
        assert record.best is not None
        assert copy.summary["best_val_acc"] == record.best.value


def test_the_retrain_saw_confirmation_images_and_measured_the_test_set_once(walked: Walked) -> None:
    record = walked.retrain
    best = min((trial for trial in walked.study.runs(Kind.TRIAL) if trial.status is Status.COMPLETE), key=RunRecord.order)
    assert record.number == best.number
    assert record.recipe.split.train_on == "train+confirmation"
    assert record.recipe.params == best.recipe.params
    assert record.recipe.seed != best.recipe.seed
    assert (record.status, record.epochs) == (Status.COMPLETE, 6)
    assert record.test is not None
    assert record.test.acc >= 0.9
    assert all(trial.test is None for trial in walked.study.runs(Kind.TRIAL))
    assert walked.study.folder(record).last_checkpoint.is_file()
    assert f"test_acc {record.test.acc:.4f}" in walked.retrain_messages


def test_the_submission_is_the_retrained_models_opinion_of_the_test_images(walked: Walked) -> None:
    folder = walked.study.folder(walked.retrain)
    test = plugins.dataset("digits").load(walked.folder, "test")
    rows = list(csv.DictReader(folder.submission.read_text().splitlines()))
    assert [row["id"] for row in rows] == [str(number) for number in range(len(test.labels))]
    predictor = orchestrator.load(walked.retrain.run_id, runs_dir=walked.folder / "runs")
    probabilities = predictor(test.images).numpy()
    assert [int(row["label"]) for row in rows] == probabilities.argmax(1).tolist()
    assert walked.retrain.test is not None
    right = np.mean([int(row["label"]) == label for row, label in zip(rows, test.labels.tolist(), strict=True)])
    assert right == pytest.approx(walked.retrain.test.acc, abs=1e-12)
    loss = -np.log(probabilities[np.arange(len(test.labels)), test.labels]).mean()
    assert loss == pytest.approx(walked.retrain.test.loss, rel=1e-4)
    output, _ = run("submit", "--check", folder.submission, folder=walked.folder)  # its run says for what
    assert f"{len(rows)} rows" in output


def test_the_submission_can_be_written_again(walked: Walked) -> None:
    submission = walked.study.folder(walked.retrain).submission
    before = submission.read_bytes()
    submission.unlink()
    run("submit", folder=walked.folder)
    assert submission.read_bytes() == before


@pytest.mark.parametrize("form", ["table", "csv", "json", "md"])
def test_the_leaderboard_in_every_form_has_every_run_best_first(
    walked: Walked, form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(walked.folder)
    output = call(capsys, "leaderboard", "--format", form).output
    names = [record.run_id for record in walked.study.runs()]
    assert all(name in output for name in names)
    if form in ("csv", "json"):
        rows = json.loads(output) if form == "json" else list(csv.DictReader(io.StringIO(output)))
        ranked = [row for row in rows if row["rank"] not in (None, "")]
        assert [int(row["rank"]) for row in ranked] == list(range(1, len(ranked) + 1))
        values = [float(row["best_val_acc"]) for row in ranked]
        assert values == sorted(values, reverse=True)
        assert set(SAMPLED) <= set(rows[0])
        (retrain,) = [row for row in rows if row["kind"] == "retrain"]
        assert walked.retrain.test is not None
        assert float(retrain["test_acc"]) == walked.retrain.test.acc


def test_status_and_frames_agree_with_the_records(walked: Walked) -> None:
    output, _ = run("status", "--format", "json", folder=walked.folder)
    state = json.loads(output)
    assert (state["finished"], state["asked"], state["conducted"]) == (TRIALS, TRIALS, False)
    frames = orchestrator.runs(walked.folder / "runs")
    assert len(frames.runs) == TRIALS + 1
    assert len(frames.epochs) == sum(record.epochs for record in walked.study.runs())


@pytest.mark.slow
def test_a_finished_study_says_so_and_a_larger_number_extends_it(tmp_path: Path) -> None:
    words = ("study", "part1", "--dataset", "digits", "--epochs", "4", "--mirror", "off")
    run(*words, "--trials", "5", folder=tmp_path)
    study = RunsFolder(tmp_path / "runs").known(STUDY)
    before = study.runs(Kind.TRIAL)
    _, messages = run("study", "part1", "--dataset", "digits", folder=tmp_path)
    assert "nothing to do" in messages
    _, messages = run(*words, "--trials", "6", folder=tmp_path)
    assert "resumed with 5 finished trials" in messages
    after = study.runs(Kind.TRIAL)
    assert len(after) == 6
    for one, other in zip(before, after, strict=False):
        assert one == other or (one.status is Status.PRUNED and other.epochs > one.epochs)  # only waited, and was resumed now
    assert math.isfinite(after[-1].seconds)
