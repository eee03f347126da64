"""The leaderboard ranks what may be compared, by the records' own rule, and shows all the rest."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import pytest

from orchestrator.record import Epoch, Evaluation, Kind, Metric, RunRecord, Status
from orchestrator.selection.uncertainty import describe_uncertainty, not_significantly_worse
from reports.leaderboard import report
from reports.tables.formats import FORMATS, render
from reports.tables.frames import frames
from tests.helpers.records import PARAMS, epochs_of, record_of

Run = tuple[str, RunRecord, Sequence[Epoch]]


def run(
    number: int,
    curve: Sequence[float],
    status: Status = Status.COMPLETE,
    kind: Kind = Kind.TRIAL,
    *,
    study: str = "part2",
    seconds: float = 1.0,
    metric: Metric | None = None,
    dataset: str = "digits",
) -> Run:
    epochs = epochs_of(curve, seconds)
    return study, record_of(number, epochs, study=study, kind=kind, status=status, metric=metric, dataset=dataset), epochs


def runs_of(table: pd.DataFrame) -> list[str]:
    return [name.split("/", 1)[1] for name in table["run"]]


def test_a_study_of_all_kinds_and_states() -> None:
    study, retrain, epochs = run(3, [0.5, 0.9375], kind=Kind.RETRAIN)
    measured = replace(retrain, test=Evaluation(images=180, loss=0.25, acc=0.90625))
    table = report(
        frames(
            [
                run(0, [0.25, 0.5]),
                run(1, [], Status.FAILED),
                run(2, [0.875], Status.PRUNED),
                run(3, [0.5, 0.75, 0.625]),
                run(4, [0.125], Status.RUNNING),
                run(5, [0.25], Status.PAUSED),
                run(6, [0.75], Status.PRUNED),
                run(7, [], Status.RUNNING),
                run(0, [0.5], kind=Kind.SINGLE),
                (study, measured, epochs),
            ]
        )
    )
    assert runs_of(table) == [
        *("trials/0003", "trials/0000", "trials/0002", "trials/0006", "trials/0005", "trials/0004", "trials/0007", "trials/0001"),
        *("single/0000", "retrain/0003"),
    ]
    assert table["rank"].tolist() == [1, 2, *[pd.NA] * 6, 1, pd.NA]
    assert table["state"].tolist()[:3] == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert table["failure"].tolist()[7] == "oom"
    assert table["best_val_acc"].tolist()[:3] == [0.75, 0.5, 0.875]
    assert table["best_epoch"].tolist()[:3] == [2, 2, 1]
    assert table["epochs"].tolist()[:3] == [3, 2, 1]
    assert table["test_acc"].dropna().tolist() == [0.90625]


def test_the_columns_of_one_study() -> None:
    table = report(frames([run(0, [0.5])], searched=PARAMS))
    assert list(table.columns) == [
        *("rank", "run", "kind", "state", "best_val_acc", "standard_error", "test_acc", "best_epoch", "epochs"),
        *("batch_size", "learning_rate", "weight_decay", "label_smoothing", "dropout"),
        *("seconds", "reference"),
    ]
    assert table.loc[0, list(PARAMS)].to_dict() == PARAMS


def test_a_replicate_names_the_trial_that_it_repeats() -> None:
    study, record, epochs = run(1, [0.5])
    table = report(frames([run(0, [0.75]), (study, replace(record, replicate_of=f"{study}/trials/0000"), epochs)]))
    assert table["replicate_of"].tolist() == ["", f"{study}/trials/0000"]


@pytest.mark.parametrize("metric", [Metric(), Metric(name="val_loss", direction="minimize"), Metric(rule="last")])
def test_the_order_is_that_of_the_records(metric: Metric) -> None:
    chosen = random.Random(5)
    runs = []
    for number in range(200):
        curve = [chosen.choice([0.25, 0.5, 0.75, float("nan")]) for _ in range(chosen.randint(0, 3))]
        study, record, epochs = run(number, curve, seconds=chosen.choice([1.0, 2.0]), metric=metric)
        if record.best and chosen.random() < 0.5:
            loss = chosen.choice([0.5, float("nan"), float("inf"), float("-inf")])
            record = replace(record, best=replace(record.best, val_loss=loss))
        runs.append((study, record, epochs))
    expected = [record.run_id for record in sorted((record for _, record, _ in runs), key=RunRecord.order)]
    chosen.shuffle(runs)
    table = report(frames(runs))
    assert table["run"].tolist() == expected
    assert table["rank"].tolist() == list(range(1, 201))


def test_a_metric_that_is_not_val_acc_has_its_own_column() -> None:
    metric = Metric(name="val_loss", direction="minimize")
    table = report(frames([run(0, [0.25, 0.5], metric=metric), run(1, [0.75], metric=metric)]))
    assert runs_of(table) == ["trials/0001", "trials/0000"]
    assert table["best_val_loss"].tolist() == [1.25, 1.5]
    assert table["best_val_acc"].tolist() == [0.75, 0.5]


def test_several_studies_share_ranks_where_they_can_be_compared() -> None:
    table = report(
        frames(
            [
                run(0, [0.25], study="a"),
                run(0, [0.5], study="b"),
                run(1, [0.125], study="a"),
                run(0, [0.875], study="c", dataset="cifar100"),
                run(0, [0.75], study="d", metric=Metric(name="val_loss", direction="minimize")),
            ]
        )
    )
    assert table["run"].tolist() == ["b/trials/0000", "a/trials/0000", "a/trials/0001", "c/trials/0000", "d/trials/0000"]
    assert table["study"].tolist() == ["b", "a", "a", "c", "d"]
    assert table["dataset"].tolist() == ["digits", "digits", "digits", "cifar100", "digits"]
    assert table["rank"].tolist() == [1, 2, 3, 1, 1]
    assert table["best_val_acc"].tolist() == [0.5, 0.25, 0.125, 0.875, 0.75]
    assert table["best_val_loss"].dropna().tolist() == [1.25]


def test_hyperparameters_that_a_study_varies_are_shown_and_others_are_not() -> None:
    depths: list[Run] = [("a", record_of(number, [], study="a", params={"depth": number, "width": 8}), []) for number in (2, 3)]
    other: Run = ("b", record_of(0, [], study="b", params={"width": 16}), [])
    table = report(frames([*depths, other]))
    assert "width" not in table.columns
    assert table["depth"].tolist() == [pd.NA, 2, 3]


def test_a_trainer_without_the_usual_hyperparameters_has_no_columns_for_them() -> None:
    record = record_of(0, [])
    runs: list[Run] = [("a", replace(record, recipe=replace(record.recipe, params={"batch_size": 8})), [])]
    table = report(frames(runs, searched=PARAMS))
    assert [name for name in PARAMS if name in table.columns] == ["batch_size"]


def test_searched_hyperparameters_come_first_and_in_the_order_of_the_plan() -> None:
    runs: list[Run] = [("a", record_of(number, [], study="a", params={"depth": number, "dropout": 0.1}), []) for number in (2, 3)]
    table = report(frames(runs, searched=["weight_decay", "batch_size", "weight_decay"]))
    assert [name for name in table.columns if name in {*PARAMS, "depth"}] == ["weight_decay", "batch_size", "depth"]


def test_single_runs_of_a_folder_show_what_they_differ_in() -> None:
    first, second = run(0, [0.5], kind=Kind.SINGLE, study="train"), run(1, [0.5], kind=Kind.SINGLE, study="train")
    assert "batch_size" not in report(frames([first, second])).columns
    changed = replace(second[1], recipe=replace(second[1].recipe, params={**PARAMS, "batch_size": 8}))
    table = report(frames([first, ("train", changed, second[2])]))
    assert [name for name in PARAMS if name in table.columns] == ["batch_size"]
    elsewhere = report(frames([first, ("other", changed, second[2])]))
    assert [name for name in PARAMS if name in elsewhere.columns] == []


def test_the_frames_are_left_as_they_were() -> None:
    given = frames([run(0, [0.25]), run(1, [0.5])])
    before = given.runs.copy(deep=True), given.epochs.copy(deep=True)
    report(given)
    pd.testing.assert_frame_equal(given.runs, before[0])
    pd.testing.assert_frame_equal(given.epochs, before[1])


@pytest.mark.parametrize("form", FORMATS)
def test_a_study_without_runs_gives_an_empty_table(form: str) -> None:
    table = report(frames([]))
    assert len(table) == 0
    assert render(table, form).endswith("\n")


def test_an_accuracy_that_is_no_fraction_has_no_standard_error() -> None:
    """A user's own trainer may count in percent."""
    study, record, epochs = run(0, [50.0, 95.0])
    record = replace(record, provenance=replace(record.provenance, validation_images=180))
    table = report(frames([(study, record, epochs), (study, replace(record, run_id="part2/trials/0001", number=1), epochs)]))
    assert table["best_val_acc"].tolist() == [95.0, 95.0]
    assert table["standard_error"].isna().all()
    assert describe_uncertainty(record, [record]) == ""
    assert not_significantly_worse(record, [record, record]) == []
