"""Submissions, and the tables of names beside them: one that is not what it should be is named with its first wrong line."""

import csv
import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import strategies as st

from tests.generated_inputs.amounts import amounts, for_all
from tests.generated_inputs.conftest import World
from tests.generated_inputs.mutations import CONTROLS, TEXTS, changed_bytes
from tests.generated_inputs.plug_ins import DATASET
from tests.generated_inputs.verdict import DATA, holding, judged

CLASSES, IMAGES = 10, 20
ROWS: list[list[str]] = [["id", "label"], *([str(image), str(image * 7 % CLASSES)] for image in range(IMAGES))]
CELLS = st.sampled_from(
    (*TEXTS, *CONTROLS, "10", "9", "3.0", "+3", "03", " 3", "3 ", "1e0", "id", "label", "'3", "\x00")
) | st.text(max_size=5)


def csv_bytes(
    rows: Sequence[Sequence[str]],
    *,
    end: str = "\n",
    quoting: Literal[0, 1, 2, 3] = csv.QUOTE_MINIMAL,
    between: str = ",",
    encoding: str = "utf-8",
) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, lineterminator=end, quoting=quoting, delimiter=between).writerows(rows)
    return stream.getvalue().encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")


@st.composite
def wrong_tables(draw: st.DrawFn, rows: Sequence[Sequence[str]]) -> bytes:
    """A table with other rows or cells, written in whatever way, or with other bytes."""
    if not draw(st.integers(0, 2)):
        return draw(changed_bytes(csv_bytes(rows)))
    table = [list(row) for row in rows]
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(table) - 1))
        match draw(st.integers(0, 6)):
            case 0:
                del table[at]
            case 1:
                table.insert(at, list(table[at]))
            case 2:
                table[at].append(draw(CELLS))
            case 3:
                del table[at][-1:]
            case 4:
                table.append(table.pop(at))
            case _ if table[at]:
                table[at][draw(st.integers(0, len(table[at]) - 1))] = draw(CELLS)
        table = table or [[]]
    return csv_bytes(
        table,
        end=draw(st.sampled_from(("\n", "\r\n", "\r", "\n\n", ""))),
        quoting=draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))),
        between=draw(st.sampled_from((",", ",", ";", "\t"))),
        encoding=draw(st.sampled_from(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))),
    )


def is_right(content: bytes) -> bool:
    """Whether every reader of CSV finds each id in its order, with a class."""
    try:
        rows = list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        return False
    labels = {str(label) for label in range(CLASSES)}
    return [row[:1] for row in rows] == [row[:1] for row in ROWS] and all(
        len(row) == 2 and row[1] in (labels if number else {"label"}) for number, row in enumerate(rows)
    )


@pytest.mark.slow
@amounts(8, 120)
def test_a_submission_is_accepted_exactly_where_it_is_right(
    examples: int, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    file = world.folder / "mine.csv"
    words = ("submit", "--check", file, "--dataset", DATASET, "--data-dir", world.data)

    def check(content: bytes) -> None:
        with holding(file, content):
            result = judged(capsys, world.folder, (0, DATA), *words, names=(f"{file}, line ",))
            assert (result.code == 0) == is_right(content)

    for_all(wrong_tables(ROWS), check, examples)


@st.composite
def right_tables(draw: st.DrawFn) -> bytes:
    """A right submission, in an unusual way."""
    rows = [ROWS[0], *([row[0], str(draw(st.integers(0, CLASSES - 1)))] for row in ROWS[1:])]
    content = csv_bytes(
        rows, end=draw(st.sampled_from(("\n", "\r\n", "\r"))), quoting=draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
    )
    return content.rstrip() if draw(st.booleans()) else content


@amounts(4, 20)
def test_a_right_submission_is_accepted_however_it_is_written(
    examples: int, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    file = world.folder / "mine.csv"

    def check(content: bytes) -> None:
        with holding(file, content):
            result = judged(capsys, world.folder, (0,), "submit", "--check", file, "--dataset", DATASET, "--data-dir", world.data)
            assert f"{IMAGES} rows" in result.output

    for_all(right_tables(), check, examples)


@pytest.mark.parametrize("name", ["classes.csv", "images.csv"])
@pytest.mark.parametrize("kept", [True, False], ids=["with weights", "without weights"])
@amounts(4, 20)
def test_a_table_of_names_is_that_of_the_model_or_refused(
    name: str, kept: bool, examples: int, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the weights, the table is what tells the names of the classes."""
    run = Path(shutil.copytree(world.retrain, tmp_path / "run"))
    if not kept:
        (run / "best.pt").unlink()
    table = run / name
    sound = table.read_bytes()
    rows = list(csv.reader(io.StringIO(sound.decode(), newline="")))
    words = ("submit", "--check", run / "submission.csv", "--dataset", DATASET, "--data-dir", world.data)
    judged(capsys, tmp_path, (0,), *words)

    def check(content: bytes) -> None:
        with holding(table, content):
            result = judged(capsys, tmp_path, (0, DATA), *words)
            if content != sound and (kept or name == "images.csv"):
                assert result.code == DATA
                assert str(table) in result.messages

    for_all(wrong_tables(rows), check, examples)
