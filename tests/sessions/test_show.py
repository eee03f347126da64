"""`orchestrate show`: all that is recorded of a run, the same for a person and for programs."""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.record import (
    Checkpoint,
    Epoch,
    Evaluation,
    Failure,
    FailureKind,
    Kind,
    Metric,
    RunRecord,
    SourceLine,
    Status,
)
from orchestrator.sessions.run_text import run_text
from orchestrator.sessions.show import run_details
from orchestrator.storage.lock import TRIALS
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_file import Search, StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.storage.study_options import StudyOptions
from tests.helpers.in_process_cli import call, refused
from tests.helpers.records import PLAN_CONTENT, epochs_of, record_of

CURVE = epochs_of((0.4, 0.6, 0.5))
SPACE: dict[str, dict[str, Any]] = {"learning_rate": {}, "dropout": {}, "gone": {}}
OPTIONS = StudyOptions(dataset="digits", seed=0, epochs=6, pruner="median", sampler="tpe")


def stored(folder: Path, record: RunRecord, epochs: Sequence[Epoch] = CURVE, *, searches: bool = True) -> StudyFolder:
    """The study `part2`, which holds this run."""
    study = RunsFolder(folder / "runs").study("part2")
    search = Search(plan="part2", plan_content={**PLAN_CONTENT, "space": SPACE}, options=OPTIONS, trials=12) if searches else None
    study.write(StudyFile(uuid="0" * 32, name="part2", created=1.0, search=search))
    study.folder(record).write(record)
    study.folder(record).replace_epochs(epochs)
    return study


def full_record() -> RunRecord:
    """A retrain that has everything."""
    record = record_of(7, CURVE, kind=Kind.RETRAIN, reference="004-P1", test=Evaluation(images=179, loss=0.0601, acc=0.9944))
    provenance = replace(
        record.provenance,
        commit="c0ffee",
        dirty=True,
        host="gpu-1",
        device="cuda:0 (NVIDIA H200)",
        threads=2,
        precision="bfloat16",
        validation_images=180,
        skipped_images=3,
        versions={"python": "3.13.1", "torch": "2.11"},
        data_digest="d" * 64,
        classes_digest="e" * 64,
        switches={"MKL_CBWR": "AVX2"},
    )
    return replace(
        record,
        recipe=replace(record.recipe, params={**record.recipe.params, "optimizer": {"name": "sgd", "nesterov": True}}),
        provenance=provenance,
        replicate_of="part2/trials/0003",
        enqueued="1.json",
        micro_batch=16,
        last=Checkpoint(epoch=3, sha256="0" * 64),
        best_checkpoint=Checkpoint(epoch=2, sha256="0" * 64),
    )


def show(capsys: pytest.CaptureFixture[str], study: StudyFolder, run: str) -> tuple[dict[str, Any], str]:
    """What the command prints for programs, and for a person."""
    words = ("show", run, "--runs", study.path.parent)
    for_programs, for_a_person = call(capsys, *words, "--format", "json"), call(capsys, *words)
    assert (for_programs.code, for_a_person.code) == (0, 0), for_programs.messages
    found: dict[str, Any] = json.loads(for_programs.output)
    assert run_text(found) + "\n" == for_a_person.output  # a person is told nothing that programs are not
    return found, for_a_person.output


def test_all_of_a_run_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = full_record()
    study = stored(tmp_path, record)
    run = study.folder(record)
    for file in (run.last_checkpoint, run.best_checkpoint, run.submission, run.classes, run.images):
        file.write_bytes(bytes(1234))
    study.logs.mkdir()
    found, text = show(capsys, study, record.run_id)
    lines = text.splitlines()
    assert lines[0] == "part2/retrain/0007: COMPLETE, 3 of 6 epochs, best after 2"
    assert re.fullmatch(
        r"retrain of run 7 of study part2, begun 2023-11-1\d .*, ended 2023-11-1\d .*, 3\.0 s of training, 1\.0 s an epoch",
        lines[1],
    )
    for said in (
        "has the setting of reference system 004-P1",
        "repeats part2/trials/0003 with another seed",
        "its setting was enqueued",
        "batches pass through the model in parts of 16 images",
        "best val_acc 0.6000 after epoch 2, val_loss 1.4000, standard error of val_acc 0.0361 (180 images)",
        "test_acc 0.9944, test_loss 0.0601 on 179 images",
        "  commit          c0ffee with uncommitted changes",
        "  device          cuda:0 (NVIDIA H200)",
        "  threads         2",
        "  precision       bfloat16",
        "  versions        python 3.13.1, torch 2.11",
        "  variables       MKL_CBWR=AVX2",
        f"  data sha256     {'d' * 64}",
        f"  classes sha256  {'e' * 64}",
        "  skipped images  3",
        "  seed             7",
        f"  checkpoint to predict with  {run.best_checkpoint} (1.23 kB, epoch 2)",
        f"  checkpoint to resume from   {run.last_checkpoint} (1.23 kB, epoch 3)",
        f"  submission                  {run.submission} (1.23 kB)",
        f"  logs of the study           {study.logs}",
    ):
        assert said in lines
    searched = lines.index("setting (searched)")
    assert lines[searched + 1 : searched + 4] == ["  learning_rate  0.012345678901234567", "  dropout        0.25", ""]
    recipe = lines[lines.index("recipe") : lines.index("provenance")]
    assert '  optimizer        {"name": "sgd", "nesterov": true}' in recipe
    assert not [line for line in recipe if "learning_rate" in line]
    assert list(found["recipe"]["params"])[:2] == list(found["setting"]) == ["learning_rate", "dropout"]
    assert [point["val_acc"] for point in found["curve"]] == [0.4, 0.6, 0.5]
    assert "batch_losses" not in found["curve"][0]


def test_the_plot_and_the_table_fit_sixty_columns_and_any_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    epochs = epochs_of([0.9 - 0.8 * math.exp(-number / 9) - (number > 50) * 0.001 * number for number in range(200)])
    record = record_of(0, epochs)
    _, text = show(capsys, stored(tmp_path, record, epochs), "part2/0")
    assert text.isascii()
    begin = text.splitlines().index("val_acc after each epoch (# the best)")
    section = text.splitlines()[begin : begin + 37]
    assert max(map(len, section)) <= 60
    assert section[-1] == "20 of 200 epochs; --format json has all"
    shown = [int(line.split()[0]) for line in section[16:-1]]
    assert shown[0] == 1
    assert shown[-1] == 200
    assert record.best is not None
    assert record.best.epoch in shown
    assert shown == sorted(set(shown))


@pytest.mark.parametrize(
    ("status", "work", "state", "says"),
    [
        (Status.RUNNING, None, "INTERRUPTED", "no process trains it; the command that began it resumes it"),
        (Status.RUNNING, TRIALS, "RUNNING", "trained by process "),
        (Status.PAUSED, None, "PAUSED", "waits to be resumed"),
    ],
)
def test_an_unfinished_run_is_shown_as_its_epochs_say(
    status: Status, work: str | None, state: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its record was written before its last epochs."""
    record = record_of(1, CURVE[:1], status=status)
    study = stored(tmp_path, record)
    if work is None:
        found, text = show(capsys, study, "part2/1")
    else:
        with study.lock(work):
            found, text = show(capsys, study, "part2/1")
    assert (found["state"], found["epochs"], found["best"]["epoch"], found["seconds"]) == (state, 3, 2, 3.0)
    assert text.startswith(f"part2/trials/0001: {state}, 3 of 6 epochs, best after 2\n")
    assert says in text
    assert ", ended " not in text


def test_a_failure_names_its_lines_of_code_and_its_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (
        SourceLine(file="/home/me/mine.py", line=41, function="Net.forward"),
        SourceLine(file="/x/torch.py", line=9, function="f"),
    )
    failure = Failure(
        kind=FailureKind.CRASHED, message="RuntimeError: shapes", error="RuntimeError", source_lines=lines, log="worker-0.log"
    )
    setbacks = (
        replace(failure, source_lines=lines[:1], log=""),
        Failure(kind=FailureKind.LOST, message="worker 1 was killed by signal 9", log="worker-1.log"),
        Failure(kind=FailureKind.HUNG, message="no progress", log="../../../etc/passwd"),
    )
    record = replace(record_of(2, CURVE, status=Status.FAILED), failure=failure, setbacks=setbacks, attempt=4)
    study = stored(tmp_path, record)
    study.logs.mkdir()
    for name in ("worker-0.log", "worker-1.log"):
        (study.logs / name).touch()
    found, text = show(capsys, study, "part2/2")
    assert (
        f"""
failed: crashed: RuntimeError: shapes
  in /home/me/mine.py, line 41, Net.forward
  raised in /x/torch.py, line 9, f
  traceback: {study.logs}/worker-0.log, below trials/0002

tried again after 3 failures; attempt 4 is the last
  crashed: RuntimeError: shapes
    in /home/me/mine.py, line 41, Net.forward
    traceback: printed by the command or the machine that trained it
  lost: worker 1 was killed by signal 9
    its worker printed to {study.logs}/worker-1.log
  hung: no progress

setting (searched)
"""
        in text
    )
    assert found["setbacks"][2]["log"] is None


def losses(numbers: Sequence[float]) -> list[Epoch]:
    return [replace(epoch, extra={"map": value}) for epoch, value in zip(CURVE, numbers, strict=True)]


@pytest.mark.parametrize(
    ("epochs", "metric", "says"),
    [
        ([], Metric(), ["part2/trials/0003: COMPLETE, 0 of 6 epochs"]),
        ([replace(CURVE[0], val_acc=math.nan)], Metric(), ["    1  2.1000  0.2000  1.6000  nan  1.00e-01      1.0"]),
        (
            [CURVE[0], replace(CURVE[1], val_acc=math.inf), CURVE[2]],
            Metric(),
            ["val_acc after each epoch (# the best, x not finite)", "       +------x------"],
        ),
        (
            losses((0.25, 0.125, 1e9)),
            Metric(name="map", direction="minimize"),
            [
                "best map 0.125 after epoch 2, val_acc 0.6000, val_loss 1.4000",
                "map after each epoch (# the best)",
                "0.125 |*     #",
            ],
        ),
        ([replace(epoch, lr=math.nan) for epoch in CURVE], Metric(), ["epoch    loss     acc    loss     acc  seconds"]),
    ],
)
def test_curves_that_are_not_usual(
    epochs: list[Epoch], metric: Metric, says: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = record_of(3, epochs, metric=metric)
    _, text = show(capsys, stored(tmp_path, record, epochs, searches=False), "part2")
    for line in says:
        assert line in text.splitlines()
    assert "setting" not in text  # nothing is searched


def test_extra_values_that_do_not_fit_are_named(tmp_path: Path) -> None:
    epochs = [replace(CURVE[0], extra={f"value_{number}": 1.0 for number in range(4)})]
    record = record_of(0, epochs)
    study = stored(tmp_path, record, epochs)
    found = run_details(study, study.folder(record))
    assert "--format json also has value_1, value_2, value_3" in run_text(found, width=64).splitlines()
    assert "--format json also has" not in run_text(found)
    assert found["curve"][0]["value_3"] == 1.0


def test_a_study_with_one_run_is_named_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = record_of(4, CURVE)
    study = stored(tmp_path, record)
    assert show(capsys, study, "part2") == show(capsys, study, record.run_id)
    study.folder(record_of(5, CURVE)).write(record_of(5, CURVE))
    refused(
        capsys, 2, "show", "part2", "--runs", study.path.parent, says=("unknown run 'part2'; known: part2/trials/0004, part2/",)
    )


def break_epochs(study: StudyFolder, record: RunRecord) -> None:
    study.folder(record).epochs_file.write_text("{}\n")


def break_space(study: StudyFolder, record: RunRecord) -> None:
    plain = json.loads(study.study_file.read_text())
    plain["search"]["plan_content"]["space"] = 3
    study.study_file.write_text(json.dumps(plain))


@pytest.mark.parametrize(("damage", "says"), [(break_epochs, "epochs.jsonl, line 1"), (break_space, "study.json is damaged")])
def test_what_is_damaged_is_named(
    damage: Callable[[StudyFolder, RunRecord], None], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = record_of(0, CURVE)
    study = stored(tmp_path, record)
    damage(study, record)
    refused(capsys, 65, "show", "part2/0", "--runs", study.path.parent, says=(says,))


def test_epochs_that_are_missing_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = record_of(0, CURVE)
    _, text = show(capsys, stored(tmp_path, record, CURVE[:1]), "part2/0")
    assert "3 epochs were recorded, and epochs.jsonl holds 1" in text.splitlines()


def test_what_a_terminal_would_obey_is_shown_as_an_escape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = record_of(0, CURVE, params={"note": "\x1b[2J"})
    study = stored(tmp_path, record)
    result = call(capsys, "show", "part2/0", "--runs", study.path.parent)
    assert (result.code, "\x1b" in result.output, "\\x1b[2J" in result.output) == (0, False, True)
