"""The frames hold exactly what the run folders hold, in columns of the documented names and types."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator.record import Best, Epoch, Evaluation, Kind, Metric, RunRecord, Status
from orchestrator.storage.progress import shown_state
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_file import StudyFile
from reports.tables import frames as frames_module
from reports.tables.frames import frames
from tests.helpers.records import PARAMS, epochs_of, record_of


def test_what_is_stored_is_what_the_frames_say(tmp_path: Path) -> None:
    study = RunsFolder(tmp_path).study("part2")
    study.write(StudyFile(uuid=record_of(0, []).provenance.study, name="part2", created=1.0))
    curves = {0: [0.5, 0.75, 0.625], 1: [0.25], 2: []}
    for number, curve in curves.items():
        epochs = epochs_of(curve, seconds=1.5)
        record = record_of(number, epochs, status=Status.COMPLETE if number == 0 else Status.RUNNING, reference="001-P2")
        study.folder(record).write(record)
        for epoch in epochs:
            study.folder(record).append(epoch)
    runs = study.runs()
    states = [shown_state(record, None) for record in runs]
    found = frames([("part2", record, study.folder(record).epochs()) for record in runs], states=states)

    first, second, third = found.runs.to_dict("records")
    assert (first["study"], first["run"], first["kind"], first["number"]) == ("part2", "part2/trials/0000", "trial", 0)
    assert (first["best_value"], first["best_epoch"], first["best_val_loss"], first["best_val_acc"]) == (0.75, 2, 1.25, 0.75)
    assert (first["epochs"], first["seconds"], first["reference"]) == (3, 4.5, "001-P2")
    assert {name: first[f"params.{name}"] for name in PARAMS} == PARAMS
    assert first["started"] == pd.Timestamp("2023-11-14 22:13:20.25", tz="UTC")
    assert first["finished"] == pd.Timestamp("2023-11-14 22:15:00.5", tz="UTC")
    assert second["status"] == "INTERRUPTED"  # nobody trains it
    assert pd.isna(second["finished"])
    assert pd.isna(third["best_epoch"])
    assert math.isnan(third["best_value"])
    assert math.isnan(third["test_acc"])

    assert found.epochs["run"].tolist() == ["part2/trials/0000"] * 3 + ["part2/trials/0001"]
    assert found.epochs["epoch"].tolist() == [1, 2, 3, 1]
    assert found.epochs["val_acc"].tolist() == [0.5, 0.75, 0.625, 0.25]
    assert found.epochs["lr"].tolist() == [0.1, 0.05, 0.1 / 3, 0.1]


def test_columns_have_the_same_types_with_and_without_rows() -> None:
    record = record_of(0, epochs_of([0.5]), status=Status.FAILED)
    full, empty = frames([("part2", record, epochs_of([0.5]))]), frames([])
    params = [f"params.{name}" for name in PARAMS]
    assert full.runs.drop(columns=params).dtypes.to_dict() == empty.runs.dtypes.to_dict()
    assert full.epochs.dtypes.to_dict() == empty.epochs.dtypes.to_dict()
    assert [str(full.runs[name].dtype) for name in params] == ["Int64", "float64", "float64", "float64", "float64"]
    assert (full.runs["failure"][0], full.runs["failure_message"][0]) == ("oom", "=out of memory")


def test_every_column_is_documented() -> None:
    documented = set(re.findall(r"[a-z_]+", frames_module.__doc__ or ""))
    made = frames([("part2", record_of(0, []), [])])
    names = [*made.runs.columns, *made.epochs.columns]
    assert {name for name in names if not name.startswith("params.")} <= documented


def test_searched_hyperparameters_are_listed_once_in_their_order() -> None:
    assert frames([], searched=["dropout", "depth", "dropout"]).searched == ("dropout", "depth")


def test_params_of_several_trainers_share_a_frame() -> None:
    params: list[dict[str, Any]] = [
        {"batch_size": 8, "depth": 3, "nesterov": True},
        {"dropout": 0, "widths": [8, 16], "depth": "auto"},
    ]
    runs = frames([("a", record_of(number, [], params=each), []) for number, each in enumerate(params)]).runs
    assert runs["params.batch_size"].tolist() == [8, 64]
    assert runs["params.dropout"].tolist() == [0.25, 0.0]
    assert runs["params.widths"].tolist()[1] == "[8,16]"
    assert runs["params.depth"].tolist() == ["3", "auto"]
    assert runs["params.nesterov"].tolist() == [True, pd.NA]
    assert runs["params.widths"].isna().tolist() == [True, False]


def test_further_measurements_become_columns() -> None:
    plain = epochs_of([0.5, 0.25])
    epochs = [plain[0], replace(plain[1], extra={"val_top5_acc": 0.875})]
    found = frames([("a", record_of(0, epochs), epochs)]).epochs["extra.val_top5_acc"]
    assert math.isnan(found[0])
    assert found[1] == 0.875


def test_a_diverged_epoch_stays_what_it_was() -> None:
    epochs: list[Epoch] = [replace(epochs_of([0.1])[0], train_loss=math.nan, val_loss=math.inf)]
    record: RunRecord = record_of(0, epochs, metric=Metric(name="val_loss", direction="minimize"))
    found = frames([("a", record, epochs)])
    assert record.best is None
    assert math.isnan(found.epochs["train_loss"][0])
    assert found.epochs["val_loss"][0] == math.inf


def test_a_retrain_has_its_test_accuracy_and_an_epoch_that_is_not_there_is_missing() -> None:
    test = Evaluation(images=180, loss=0.125, acc=0.96875)
    record = replace(record_of(4, [], kind=Kind.RETRAIN, test=test), best=Best(epoch=3, value=0.5, val_loss=0.25))
    runs = frames([("a", record, epochs_of([0.125]))]).runs
    assert (runs["test_acc"][0], runs["test_loss"][0], runs["test_images"][0]) == (0.96875, 0.125, 180)
    assert math.isnan(runs["best_val_acc"][0])
