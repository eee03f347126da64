"""What a user's own report gives is printed without losing anything, or refused in one line."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from orchestrator.contracts import Frames
from orchestrator.errors import BadData
from orchestrator.sessions.tables import reported
from reports.tables.formats import FORMATS
from reports.tables.frames import frames
from tests.helpers.records import epochs_of, record_of

HEADER = """import datetime, decimal, enum, sys
import numpy as np, pandas as pd

class Colour(enum.Enum):
    RED = "red"

def one(cell):
    return pd.DataFrame({"cell": pd.Series([cell], dtype=object)})

"""


@pytest.fixture(scope="module")
def given() -> Frames:
    runs = [(number, epochs_of(curve)) for number, curve in enumerate(([0.25, 0.75], [0.5, 0.625]))]
    return frames([("part2", record_of(number, epochs), epochs) for number, epochs in runs])


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "reports").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reports.__path__", [*__import__("reports").__path__])  # without the folder after the test
    return tmp_path / "reports"


def write(folder: Path, text: str) -> str:
    """A report of its own name, since Python remembers modules by their names."""
    name = f"own_{abs(hash((str(folder), text)))}"
    (folder / f"{name}.py").write_text(HEADER + text)
    return name


SHOWN = {
    "the name of a group": (
        'frames.runs.groupby("run")[["best_value"]].max()',
        ["run,best_value", "part2/trials/0000,0.75", "part2/trials/0001,0.625"],
    ),
    "a pivoted table": (
        'frames.epochs.pivot(index="epoch", columns="run", values="val_acc")',
        ["epoch,part2/trials/0000,part2/trials/0001", "1,0.25,0.5", "2,0.75,0.625"],
    ),
    "two levels": (
        'frames.epochs.groupby(["run", "epoch"])[["val_acc"]].max().head(2)',
        ["run,epoch,val_acc", "part2/trials/0000,1,0.25", "part2/trials/0000,2,0.75"],
    ),
    "columns of two levels": (
        'frames.runs.groupby("trainer").agg({"best_value": ["min", "max"]})',
        ["trainer,best_value min,best_value max", "resnet,0.625,0.75"],
    ),
    "an index in another order": (
        'frames.runs[["best_value"]].sort_values("best_value")',
        ["index,best_value", "1,0.625", "0,0.75"],
    ),
    "an index without a name": ('pd.DataFrame({"a": [1]}, index=["first"])', ["index,a", "first,1"]),
    "levels without names": (
        'pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)]))',
        ["index 0,index 1,a", "1,2,1"],
    ),
    "an index that a column repeats": (
        'frames.runs[["run", "best_value"]].set_index("run", drop=False)',
        ["run,best_value", "part2/trials/0000,0.75", "part2/trials/0001,0.625"],
    ),
    "a number and nothing as names": ("pd.DataFrame([[2, 3]], columns=pd.Index([1, None], dtype=object))", ["1,None", "2,3"]),
    "a name of two lines": (r'pd.DataFrame({"a\nb": [2]})', ["a b", "2"]),
    "no rows": ('frames.runs[frames.runs["run"] == ""][["run"]]', ["run"]),
    "a set": ("one({3, 1})", ["cell", '"[1,3]"']),
    "an array": ("one(np.arange(4).reshape(2, 2))", ["cell", '"[[0,1],[2,3]]"']),
    "an array of no dimensions": ("one(np.array(5))", ["cell", "5"]),
    "a mapping of numpy's numbers": (
        'one({"a": np.float32(0.5), "b": np.nan, 3: None})',
        ["cell", '"{""3"":null,""a"":0.5,""b"":null}"'],
    ),
    "a decimal": ('one(decimal.Decimal("0.10"))', ["cell", "0.10"]),
    "a complex number": ("one(1 + 2j)", ["cell", "(1+2j)"]),
    "bytes": ('one(b"x")', ["cell", "b'x'"]),
    "a span of time": ("one(pd.Timedelta(hours=1))", ["cell", "0 days 01:00:00"]),
    "a period": ('one(pd.Period("2026-11"))', ["cell", "2026-11"]),
    "a day": ("one(datetime.date(2026, 11, 30))", ["cell", "2026-11-30"]),
    "one of several words": ("one(Colour.RED)", ["cell", "red"]),
    "a number of numpy's": ("one(np.int8(3))", ["cell", "3"]),
    "a table in a table": ("one(pd.DataFrame())", None),
    "an object": ("one(object)", ["cell", "<class 'object'>"]),
}


@pytest.mark.parametrize("what", SHOWN)
def test_nothing_is_lost(what: str, own: Path, given: Frames) -> None:
    made, lines = SHOWN[what]
    name = write(own, f"def report(frames):\n    return {made}\n")
    texts = {form: reported(name, given, form).text for form in FORMATS}
    assert lines is None or texts["csv"].splitlines() == lines
    header, *rows = list(csv.reader(io.StringIO(texts["csv"])))
    records = json.loads(texts["json"])
    assert [list(record) for record in records] == [header] * len(rows)
    assert len(texts["md"].splitlines()) == len(rows) + 2
    assert len(texts["table"].splitlines()) == len(rows) + 1


REFUSED = {
    "a series": (
        '    return frames.runs["best_value"]',
        "cannot be used: it gives a Series where a DataFrame is expected; to_",
    ),
    "nothing": ("    frames.runs", "cannot be used: it gives None where a DataFrame is expected; did it forget `return`?"),
    "a text": ('    return "best"', "cannot be used: it gives a str where a DataFrame is expected"),
    "a column twice": (
        '    return pd.concat([frames.runs[["run"]]] * 2, axis=1)',
        "cannot be used: 2 of its columns are named 'run'",
    ),
    "names that print alike": ('    return pd.DataFrame({1: [2], "1": [3]})', "cannot be used: 2 of its columns are named '1'"),
    "an index named like another column": (
        '    return pd.DataFrame({"a": [1, 2]}, index=pd.Index([3, 4], name="a"))',
        "cannot be used: 2 of its columns are named 'a'",
    ),
    "rows without columns": ("    return frames.runs[[]]", "cannot be used: it has rows and no columns"),
    "an error": ('    return frames.runs[["accuracy"]]', r"failed: KeyError: .*accuracy.* \(.*own_.*\.py, line 11\)"),
    "an error of many lines": ('    raise ValueError("a\\nb")', r"failed: ValueError: a b \(.*, line 11\)"),
    "an error without a text": ("    raise ValueError", r"failed: ValueError \(.*, line 11\)"),
    "an error that has no text": (
        "    class Odd(Exception):\n        def __str__(self): raise KeyError\n    raise Odd",
        r"failed: Odd \(.*, line 13\)",
    ),
    "its end": ("    sys.exit(0)", r"failed: SystemExit: 0 \(.*, line 11\)"),
    "a cell without a text": (
        "    class Odd:\n        def __str__(self): raise KeyError(3)\n    return one(Odd())",
        r"failed: KeyError: 3 \(.*, line 12\)",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_printed_is_refused_in_one_line(what: str, own: Path, given: Frames) -> None:
    body, says = REFUSED[what]
    name = write(own, f"def report(frames):\n{body}\n")
    with pytest.raises(BadData) as refusal:
        reported(name, given, "csv")
    assert re.search(f"^report '{name}' {says}", str(refusal.value)), refusal.value
    assert "\n" not in str(refusal.value)


def test_a_report_that_is_no_python_names_its_own_line(own: Path, given: Frames) -> None:
    name = write(own, "def report(frames) return\n")
    with pytest.raises(BadData) as refusal:
        reported(name, given, "csv")
    assert re.search(rf"SyntaxError: .* \({own}/{name}\.py, line \d+\)$", str(refusal.value)), refusal.value


def test_a_report_is_a_function(own: Path, given: Frames) -> None:
    name = write(own, "report = 3\n")
    with pytest.raises(BadData, match="`report` is a int where a function is expected"):
        reported(name, given, "csv")
