"""`submit --check` names the first wrong line of a submission."""

import os
import threading
from pathlib import Path

import pytest

from tests.cli.studies import Refuse
from tests.helpers.in_process_cli import call

ROWS = [f"{image},{image % 10}" for image in range(179)]
WRONG_SUBMISSIONS = {
    "nothing": ([], "line 1: expected the header id,label"),
    "no header": (ROWS, "line 1: expected the header id,label, found '0,0'"),
    "a row too few": (["id,label", *ROWS[:-1]], "before the row of 178"),
    "a row too many": (["id,label", *ROWS, "179,0"], "line 181: found '179,0'"),
    "rows in another order": (["id,label", ROWS[1], ROWS[0], *ROWS[2:]], "line 2: expected the row of 0"),
    "a class that is none": (["id,label", *ROWS[:5], "5,10", *ROWS[6:]], "line 7: the label of 5 is '10'"),
    "a fraction": (["id,label", *ROWS[:5], "5,5.0", *ROWS[6:]], "line 7: the label of 5 is '5.0'"),
    "an index column": ([",id,label", *[f"{n},{row}" for n, row in enumerate(ROWS)]], "line 1: expected the header"),
}


@pytest.mark.parametrize("wrong", sorted(WRONG_SUBMISSIONS))
def test_a_wrong_submission_has_its_first_wrong_line_named(wrong: str, refuse: Refuse, tmp_path: Path) -> None:
    lines, says = WRONG_SUBMISSIONS[wrong]
    file = tmp_path / "submission.csv"
    file.write_text("".join(line + "\n" for line in lines))
    refuse(65, "submit", "--check", file, "--dataset", "digits", says=(str(file), says))


def test_other_things_than_a_submission(refuse: Refuse, tmp_path: Path) -> None:
    refuse(66, "submit", "--check", tmp_path / "nowhere.csv", says=("nowhere.csv",))
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    refuse(65, "submit", "--check", tmp_path / "binary.csv", says=("binary.csv, line 1",))
    refuse(74, "submit", "--check", tmp_path, says=(str(tmp_path),))


def test_a_right_submission(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = runs.glob("curves/retrain/*/submission.csv")
    result = call(capsys, "submit", "--check", file, "--dataset", "digits")
    assert (result.code, result.messages) == (0, "")
    assert "179 rows" in result.output


@pytest.mark.slow
def test_a_submission_for_the_test_images_of_cifar100_is_checked_as_one(
    tmp_path: Path, cifar100_folder: Path, refuse: Refuse, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "submission.csv"
    rows = [f"{number},{number % 100}\n" for number in range(10_000)]
    file.write_text("id,label\n" + "".join(rows))
    result = call(capsys, "submit", "--check", file, "--data-dir", cifar100_folder)
    assert (result.code, result.messages) == (0, "")
    assert "10,000 rows for the test images of cifar100" in result.output
    file.write_text("id,label\n" + "".join(rows[:-1]))
    refuse(65, "submit", "--check", file, "--data-dir", cifar100_folder, says=("before the row of 9999",))


@pytest.mark.parametrize("right", [True, False])
def test_a_submission_from_a_pipe_is_read_once(right: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "submission.csv"
    os.mkfifo(pipe)
    rows = ROWS if right else [*ROWS[:5], "5,10", *ROWS[6:]]
    writer = threading.Thread(target=pipe.write_text, args=("\n".join(["id,label", *rows, ""]),), daemon=True)
    writer.start()
    result = call(capsys, "submit", "--check", pipe, "--dataset", "digits")
    writer.join(10)
    assert result.code == (0 if right else 65)
    assert ("179 rows for the test images of digits" in result.output) == right
    assert ("line 7: the label of 5 is '10'" in result.messages) != right
