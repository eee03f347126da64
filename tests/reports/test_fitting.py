"""The leaderboard on a terminal: what says nothing, and what does not fit, is left out and counted; no line is too long."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.record import Evaluation, Kind, RunRecord, Status
from orchestrator.sessions.tables import frames as frames_of
from orchestrator.sessions.tables import reported
from orchestrator.storage.runs import RunsFolder
from reports.leaderboard import report
from reports.tables.fitting import fitted
from reports.tables.frames import frames
from tests.helpers.in_process_cli import call
from tests.helpers.paths import ROOT
from tests.helpers.records import PARAMS, epochs_of, record_of

RECORDED = ROOT / "tests" / "storage" / "recorded_0_1" / "studies"
OTHER_WIDTHS = [*range(2, 7), *range(8, 20), 61, 79, 81, 100, 160, 200]


def records(study: str = "part1-digits") -> list[RunRecord]:
    """A study with trials in several states and a retrain that measured the test set."""
    curves: list[tuple[Sequence[float], Status]] = [
        ([0.9, 0.9722], Status.COMPLETE),
        ([0.5, 0.9056], Status.PRUNED),
        ([0.25], Status.FAILED),
    ]
    found = [record_of(number, epochs_of(curve), study=study, status=status) for number, (curve, status) in enumerate(curves)]
    retrain = record_of(
        0, epochs_of([0.9, 0.9944]), study=study, kind=Kind.RETRAIN, test=Evaluation(images=179, loss=0.5, acc=0.9)
    )
    return [*found, replace(retrain, run_id=f"{study}/retrain/0000-12484cb2")]


def table(study: str = "part1-digits") -> pd.DataFrame:
    return report(frames([(study, record, []) for record in records(study)], PARAMS))


def columns_of(text: str) -> list[str]:
    """The names of the columns, of a table of four rows whose header may be broken at `_`."""
    lines = text.splitlines()[:-4]
    ends = [
        column for column, character in enumerate(lines[-1] + " ") if character == " " and lines[-1][column - 1 : column].strip()
    ]
    begins = [0, *ends]
    parts = [[line[begin:end].strip() for line in lines] for begin, end in zip(begins, ends, strict=False)]
    return ["".join(part) for part in parts]


@pytest.mark.parametrize("study", ["p", "part1-digits", "x" * 64])
@pytest.mark.parametrize(
    "width", [1, 7, 40, 59, 60, 80, 120, 300, *(pytest.param(width, marks=pytest.mark.slow) for width in OTHER_WIDTHS)]
)
def test_no_line_is_longer_than_the_terminal_and_every_run_is_there(study: str, width: int) -> None:
    found = fitted(table(study), width)
    lines = found.text.splitlines()
    assert max(map(len, lines)) <= width
    if width >= 60:
        rows = lines[-4:]
        assert len(lines) <= 4 + 4  # a header of at most four lines, and no further table below
        assert len(set(rows)) == 4
        assert all(state in row for state, row in zip(["COMPLETE", "PRUNED", "FAILED", "COMPLETE"], rows, strict=True))
        assert "0.9722" in rows[0]


def test_at_60_80_and_120_columns_the_least_important_give_way() -> None:
    names = {width: columns_of(fitted(table(), width).text) for width in (60, 80, 120)}
    assert names[60][:3] == ["rank", "run", "state"]
    assert {"rank", "run", "state", "best_val_acc", "test_acc", "batch_size"} <= set(names[80])
    assert set(names[60]) <= set(names[80]) <= set(names[120]) <= set(table().columns)
    assert {*PARAMS, "test_acc"} <= set(names[120])
    assert "failure_message" not in names[120]


def test_where_all_fits_nothing_is_left_out_or_broken() -> None:
    found = fitted(table(), 400)
    assert (found.empty, found.narrow) == (2, 0)  # no reference, and no number of images for a standard error
    assert found.text.split()[:4] == ["rank", "run", "kind", "state"]
    assert found.text == fitted(table(), None).text
    assert found.note() == "left out: 2 empty columns; --format csv has all"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_what_is_left_out_is_counted_in_a_line_that_fits(width: int) -> None:
    found = fitted(table(), width)
    assert len(columns_of(found.text)) == len(table().columns) - found.empty - found.narrow
    assert found.note() == f"left out: {found.empty + found.narrow} columns, {found.empty} of them empty; --format csv has all"
    assert len(found.note()) <= 60


@pytest.mark.parametrize(
    ("columns", "text", "note"),
    [
        ({"a": [1], "b": [None]}, "a\n1\n", "left out: 1 empty column; --format csv has all"),
        ({"a": [None], "b": [" "]}, "a  b\n\n", ""),  # nothing else is there
        ({"a": []}, "a\n", ""),
        ({"a": [0], "b": [False]}, "a      b\n0  False\n", ""),
        ({"a": ["x"], "b": ["y" * 9], "c": ["z"]}, "a  c\nx  z\n", "left out: 1 column; --format csv has all"),
        ({"a": ["x" * 12]}, "a\nxxx…xxxx\n", ""),
        ({"abcdefghijkl": ["x"]}, "abc…ijkl\nx\n", ""),
    ],
)
def test_tables_of_ones_own(columns: dict[str, list[object]], text: str, note: str) -> None:
    found = fitted(pd.DataFrame(columns), 8)
    assert (found.text, found.note()) == (text, note)
    assert max(map(len, found.text.splitlines())) <= 8


@pytest.mark.parametrize("name", ["finished", "killed", "stopped", "train"])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_recorded_studies_fit(name: str, width: int) -> None:
    found = reported("leaderboard", frames_of(RunsFolder(RECORDED), [name]), "table", width=width)
    lines = found.text.splitlines()
    assert max(map(len, lines)) <= width
    assert len([line for line in lines if f"{name}/" in line]) == len(RunsFolder(RECORDED).known(name).runs())
    assert found.note.startswith("left out: ")


@pytest.mark.parametrize("form", ["csv", "json", "md"])
def test_other_formats_have_every_column(form: str) -> None:
    given = frames_of(RunsFolder(RECORDED), ["finished"])
    found = reported("leaderboard", given, form, width=60)
    assert found.note == ""
    assert all(name in found.text for name in report(given).columns)


def test_the_command_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("leaderboard", "finished", "--runs", RECORDED, "--top", "2")
    rows = json.loads(call(capsys, *words, "--format", "json").output)
    assert [row["rank"] for row in rows] == [1, 2]
    piped = call(capsys, *words)
    assert [line.split()[1] for line in piped.output.splitlines()[1:]] == [row["run"] for row in rows]
    assert piped.messages.startswith("left out: ")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = call(capsys, *words)
    assert max(map(len, shown.output.splitlines())) <= 60
    assert [line.split()[1] for line in shown.output.splitlines()[-2:]] == [row["run"] for row in rows]
    assert len(call(capsys, *words[:-2], "--top", "99").output.splitlines()) > len(shown.output.splitlines())
    assert "is not a whole number of at least 1" in call(capsys, *words[:-1], "0").messages
