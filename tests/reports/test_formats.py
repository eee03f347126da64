"""Tables as text: exact and harmless for programs, rounded and aligned for people."""

import csv
import html
import io
import json
import math
import re

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import UnknownName
from reports.tables.formats import render

FRAME = pd.DataFrame(
    {
        "rank": pd.array([1, 2, None], dtype="Int64"),
        "run": ["part2/trials/0003", "part2/trials/0000", "part2/trials/0001"],
        "best_val_acc": [0.97222222222222221, 0.1, math.nan],
        "learning_rate": [0.012345678901234567, 5e-4, 1.23456e-5],
        "train_loss": [0.5, math.inf, -1.0],
        "seconds": [12.3456, 100_000.0, 0.04],
        "score": [123.456, 12_345.678, 1e9],
        "dirty": [True, False, True],
        "reference": ["004-P1", "", "=1+1"],
        "started": pd.Series(["2026-01-02 03:04:05", None, None], dtype="datetime64[us, UTC]"),
    }
)


def test_the_table_is_aligned_and_rounded() -> None:
    frame = FRAME[["rank", "run", "best_val_acc", "learning_rate", "train_loss", "seconds", "score", "reference"]]
    assert render(frame, "table") == (
        "rank  run                best_val_acc  learning_rate  train_loss   seconds  score  reference\n"
        "   1  part2/trials/0003        0.9722         0.0123      0.5000      12.3    123  004-P1\n"
        "   2  part2/trials/0000        0.1000         0.0005         inf  100000.0  12346\n"
        "      part2/trials/0001                     1.23e-05     -1.0000       0.0  1e+09  =1+1\n"
    )


def test_a_table_that_is_too_wide_goes_on_below_with_the_rows_named_again() -> None:
    assert render(FRAME[["rank", "run", "best_val_acc", "learning_rate", "seconds"]], "table", width=44) == (
        "                          best_\n"
        "                           val_  learning_\n"
        "rank  run                   acc       rate\n"
        "   1  part2/trials/0003  0.9722     0.0123\n"
        "   2  part2/trials/0000  0.1000     0.0005\n"
        "      part2/trials/0001           1.23e-05\n"
        "\n"
        "run                 seconds\n"
        "part2/trials/0003      12.3\n"
        "part2/trials/0000  100000.0\n"
        "part2/trials/0001       0.0\n"
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 200))
def test_no_cell_is_lost_and_lines_fit_wherever_two_columns_do(width: int) -> None:
    text = render(FRAME, "table", width=width)
    if width >= 44:
        assert max(map(len, text.splitlines())) <= width
    words = text.split()
    for cell in ("0.9722", "1.23e-05", "004-P1", "=1+1", "12346", "2026-01-02T03:04:05+00:00", "-1.0000"):
        assert words.count(cell) == 1


def test_wide_characters_and_control_characters_keep_the_table_aligned() -> None:
    frame = pd.DataFrame({"run": ["語語", "a\nb\x1b[31m"], "epochs": [1, 2]})
    assert render(frame, "table") == "run       epochs\n語語           1\na b [31m       2\n"


def test_markdown() -> None:
    frame = FRAME[["rank", "run", "best_val_acc"]].assign(note=["a|b", "", "c"])
    assert render(frame, "md").splitlines() == [
        "| rank | run | best_val_acc | note |",
        "| ---: | --- | ---: | --- |",
        "| 1 | part2/trials/0003 | 0.9722 | a\\|b |",
        "| 2 | part2/trials/0000 | 0.1000 |  |",
        "|  | part2/trials/0001 |  | c |",
    ]


@pytest.mark.parametrize("text", ["a|b", "a\\|b", "\\", "<class 'x'>", "&lt;", "a\nb", "a\r\nb", "a\x1b[31m", "a\x85b"])
def test_a_markdown_table_stays_one(text: str) -> None:
    lines = render(pd.DataFrame({text: [text], "last": [1]}), "md").split("\n")
    assert len(lines) == 4
    for line in (lines[0], lines[2]):
        assert len(re.split(r"(?<!\\)(?:\\\\)*\|", line)) == 4  # bars that nothing escapes
        first, *_ = re.split(r" \| (?:last|1) \|$", line.removeprefix("| "))
        shown = "".join(character if character.isprintable() else " " for character in text)
        assert html.unescape(re.sub(r"\\(.)", r"\1", first)) == shown
        assert "<" not in first


def test_a_header_is_shown_without_what_a_terminal_obeys() -> None:
    frame = pd.DataFrame({"a\nb\x1b[31m": [1], "c\td": ["x"]})
    assert render(frame, "table") == "a b [31m  c d\n       1  x\n"


def test_csv_is_exact_with_missing_values_empty() -> None:
    first, second, third = csv.DictReader(io.StringIO(render(FRAME, "csv")))
    assert float(first["best_val_acc"]) == 0.97222222222222221
    assert float(first["learning_rate"]) == 0.012345678901234567
    assert (first["rank"], first["dirty"], first["started"]) == ("1", "True", "2026-01-02T03:04:05+00:00")
    assert (second["train_loss"], third["train_loss"]) == ("inf", "-1.0")
    assert (third["rank"], third["best_val_acc"], second["reference"], third["started"]) == ("", "", "", "")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from("=+-@\t\r") | st.sampled_from("a1,\"'\n "), max_size=8).map("".join))
def test_no_text_in_a_csv_is_a_formula(text: str) -> None:
    header, *rows = csv.reader(io.StringIO(render(pd.DataFrame({text: [text, "x"]}), "csv"), newline=""))
    for cell in (header[0] if header else "", rows[0][0] if rows[0] else ""):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        lines = "\n".join(text.splitlines())
        assert cell in (lines, "'" + lines)


def test_negative_numbers_in_a_csv_stay_numbers() -> None:
    assert render(pd.DataFrame({"a": [-1], "b": [-0.5]}), "csv") == "a,b\n-1,-0.5\n"


def test_json_is_exact_with_missing_values_null() -> None:
    first, second, third = json.loads(render(FRAME, "json"))
    assert first == {
        "rank": 1,
        "run": "part2/trials/0003",
        "best_val_acc": 0.97222222222222221,
        "learning_rate": 0.012345678901234567,
        "train_loss": 0.5,
        "seconds": 12.3456,
        "score": 123.456,
        "dirty": True,
        "reference": "004-P1",
        "started": "2026-01-02T03:04:05+00:00",
    }
    assert (second["train_loss"], third["rank"], third["best_val_acc"], third["started"]) == ("inf", None, None, None)
    assert third["reference"] == "=1+1"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_floats_survive_csv_and_json(values: list[float]) -> None:
    frame = pd.DataFrame({"value": values})
    assert [float(row["value"]) for row in csv.DictReader(io.StringIO(render(frame, "csv")))] == values
    assert [row["value"] for row in json.loads(render(frame, "json"))] == values


def test_an_unknown_format_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="unknown format 'jsn'; known: json, "):
        render(FRAME, "jsn")
