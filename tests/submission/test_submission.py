"""The submission: every image's prediction in its own row, and no file that is not exactly right ever replaces another."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.errors import BadData, DiskError, MissingInput
from orchestrator.submission import predictions, submission_file
from orchestrator.submission.out_of_distribution import CHALLENGE, OutOfDistribution, check_files
from orchestrator.submission.predictions import Rows
from orchestrator.submission.submission_file import numbered
from orchestrator.support.fault_injection import VARIABLE, CrashPoint

CLASSES = 100
# More images in a file than are predicted at a time, so that chunks and files do not end together.
SMALL = OutOfDistribution(files=3, severities=2, images=1_300, height=2, width=3, channels=3)


def write_files(folder: Path, geometry: OutOfDistribution, skip: tuple[int, ...] = ()) -> None:
    """Images that carry their own number: pixel (0, 2) of channels 0, 1 and 2 holds it to the base 250."""
    per_file = geometry.shape[0]
    for file in range(geometry.files):
        if file not in skip:
            images = np.random.default_rng(file).integers(0, 256, geometry.shape, dtype=np.uint8)
            numbers = np.arange(file * per_file, (file + 1) * per_file)
            for channel in range(3):
                images[:, 0, 2, channel] = numbers // 250**channel % 250
            np.save(folder / geometry.file_name(file), images)


def numbers_in(images: Any) -> torch.Tensor:
    digits = torch.as_tensor(images)[:, :, 0, 2].long()
    return digits[:, 0] + 250 * digits[:, 1] + 250**2 * digits[:, 2]


def by_number(images: Any) -> torch.Tensor:
    """Predicts the class number mod 100."""
    assert images.dtype == np.uint8
    assert images.shape[1:] == (3, 2, 3)
    return torch.nn.functional.one_hot(numbers_in(images) % CLASSES, CLASSES).float()


def test_each_image_is_predicted_in_its_own_row(tmp_path: Path) -> None:
    write_files(tmp_path, SMALL)
    done: list[tuple[int, int]] = []
    rows = predictions.predict_files(
        check_files(tmp_path, SMALL), by_number, classes=CLASSES, progress=lambda *numbers: done.append(numbers)
    )
    path = tmp_path / "submission.csv"
    submission_file.write_submission(path, rows, form=numbered(CLASSES))
    lines = path.read_text().splitlines()
    expected = [
        f"distortion{file:02d}_{severity}_{image},{((file * 2 + severity - 1) * 1_300 + image) % CLASSES}"
        for file in range(3)
        for severity in (1, 2)
        for image in range(1_300)
    ]
    assert lines == ["id,label", *expected]
    assert done == [(2_000, 7_800), (2_600, 7_800), (4_600, 7_800), (5_200, 7_800), (7_200, 7_800), (7_800, 7_800)]


def test_with_partial_the_rows_of_the_files_that_are_there(tmp_path: Path) -> None:
    write_files(tmp_path, SMALL, skip=(1,))
    files = check_files(tmp_path, SMALL, partial=True)
    rows = predictions.predict_files(files, by_number, classes=CLASSES)
    assert files.missing == ("distortion01.npy",)
    assert [rows.ids[0], rows.ids[2_600], rows.ids[-1]] == ["distortion00_1_0", "distortion02_1_0", "distortion02_2_1299"]
    assert rows.labels.tolist() == [number % CLASSES for number in (*range(2_600), *range(5_200, 7_800))]


def test_test_images_are_numbered_from_0() -> None:
    images = np.zeros((2_345, 3, 2, 3), dtype=np.uint8)
    images[:, 0, 0, 2], images[:, 1, 0, 2] = np.arange(2_345) % 250, np.arange(2_345) // 250
    images.flags.writeable = False
    rows = predictions.predict_test_images(images, by_number, classes=CLASSES)
    assert list(rows.ids) == [str(image) for image in range(2_345)] == predictions.image_ids(2_345)
    assert rows.labels.tolist() == [image % CLASSES for image in range(2_345)]


def test_the_predictor_gets_images_that_it_may_change(tmp_path: Path) -> None:
    write_files(tmp_path, SMALL)
    before = (tmp_path / "distortion00.npy").read_bytes()

    def destructive(images: Any) -> torch.Tensor:
        probabilities = by_number(images)
        images[:] = 0
        return probabilities

    rows = predictions.predict_files(check_files(tmp_path, SMALL), destructive, classes=CLASSES)
    assert rows.labels.tolist() == [number % CLASSES for number in range(7_800)]
    assert (tmp_path / "distortion00.npy").read_bytes() == before


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda images: by_number(images)[:-1], r"array \(999, 100\) for 1000 images of 100 classes"),
        (lambda images: by_number(images)[:, :-1], r"array \(1000, 99\)"),
        (lambda images: by_number(images).argmax(1), r"array \(1000,\)"),
        (lambda images: by_number(images).log() * 0, r"not finite \(images 0 to 999\)"),
    ],
)
def test_a_model_that_gives_no_probabilities_is_refused(wrong: Any, message: str) -> None:
    with pytest.raises(BadData, match=message):
        predictions.predict_test_images(np.zeros((1_000, 3, 2, 3), dtype=np.uint8), wrong, classes=CLASSES)


def challenge_rows() -> Rows:
    return Rows(ids=CHALLENGE.ids(), labels=np.random.default_rng(0).integers(0, 100, 950_000))


@pytest.mark.slow
def test_the_whole_challenge_is_written_in_order(tmp_path: Path) -> None:
    rows = challenge_rows()
    path = tmp_path / "submission_ood.csv"
    submission_file.write_submission(path, rows, form=numbered(100))
    lines = path.read_text().splitlines()
    assert len(lines) == 950_001
    assert lines[0] == "id,label"
    for position, name in [(1, "distortion00_1_0"), (50_000, "distortion00_5_9999"), (950_000, "distortion18_5_9999")]:
        assert lines[position] == f"{name},{rows.labels[position - 1]}"
    lines[777_777], lines[777_778] = lines[777_778], lines[777_777]
    path.write_text("\n".join(lines))
    with pytest.raises(BadData, match=r"line 777778: expected the row of distortion15_3_7776, found 'distortion15_3_7777,"):
        submission_file.check_submission(path, CHALLENGE.ids(), form=numbered(100))


IDS = ("0", "1", "2")
GOOD = "id,label\n0,7\n1,0\n2,9\n"


@pytest.mark.parametrize("content", [GOOD, GOOD.rstrip("\n"), GOOD.replace("\n", "\r\n"), '"id","label"\n"0","7"\n1,0\n2,9\n'])
def test_what_kaggle_reads_alike_is_right(tmp_path: Path, content: str) -> None:
    path = tmp_path / "submission.csv"
    path.write_bytes(content.encode())
    submission_file.check_submission(path, IDS, form=numbered(10))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: expected the header id,label, found ''"),
        ("id,class\n0,7\n1,0\n2,9\n", "line 1: expected the header id,label, found 'id,class'"),
        ("0,7\n1,0\n2,9\n", "line 1: expected the header"),
        ("id,label\n", "line 1: the file ends before the row of 0; expected 3 rows"),
        ("id,label\n0,7\n1,0\n", "line 3: the file ends before the row of 2"),
        ("id,label\n0,7\n1,0\n2,9\n3,1\n", "line 5: found '3,1' after the last of 3"),
        ("id,label\n0,7\n2,9\n1,0\n", "line 3: expected the row of 1, found '2,9'"),
        ("id,label\n0,7\n0,7\n1,0\n2,9\n", "line 3: expected the row of 1, found '0,7'"),
        ("id,label\n0,7\n\n1,0\n2,9\n", "line 3: expected the row of 1, found ''"),
        ("id,label\n0,7\n1\n2,9\n", "line 3: expected the row of 1, found '1'"),
        (",id,label\n0,0,7\n", "line 1: expected the header"),
        ("id,label\n0,7,7\n1,0\n2,9\n", "line 2: expected the row of 0, found '0,7,7'"),
        ("id,label\n0,7\n1,10\n2,9\n", "line 3: the label of 1 is '10', expected a whole number from 0 to 9"),
        ("id,label\n0,7\n1,-1\n2,9\n", "line 3: the label of 1 is '-1'"),
        ("id,label\n0,7\n1,1.0\n2,9\n", "line 3: the label of 1 is '1.0'"),
        ("id,label\n0,7\n1,01\n2,9\n", "line 3: the label of 1 is '01'"),
        ("id,label\n0,7\n1,\n2,9\n", "line 3: the label of 1 is ''"),
        ("id,label\n0,7\n1,１\n2,9\n", "line 3: the label of 1 is '１'"),
        ('id,label\n0,7\n"1,0\n2,9\n', "line 4: unexpected end of data"),
    ],
)
def test_the_first_wrong_line_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "submission.csv"
    path.write_text(content)
    with pytest.raises(BadData) as caught:
        submission_file.check_submission(path, IDS, form=numbered(10))
    assert str(caught.value).startswith(f"{path}, {message}")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_bytes(b"id,label\n0,\xff\n")
    with pytest.raises(BadData, match="decode"):
        submission_file.check_submission(path, IDS, form=numbered(10))


def test_a_missing_submission_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="no submission"):
        submission_file.check_submission(tmp_path / "submission.csv", IDS, form=numbered(10))


@pytest.mark.parametrize("labels", [[7, 10, 9], [7, -1, 9], [7.0, 0.0, 9.0]])
def test_labels_that_are_no_classes_leave_the_old_file(tmp_path: Path, labels: list[Any]) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("the old one")
    with pytest.raises(BadData, match="expected a whole number from 0 to 9"):
        submission_file.write_submission(path, Rows(ids=IDS, labels=np.array(labels)), form=numbered(10))
    assert path.read_text() == "the old one"
    assert [file.name for file in tmp_path.iterdir()] == ["submission.csv"]


def test_rows_and_labels_of_different_number_are_a_programming_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        submission_file.write_submission(tmp_path / "submission.csv", Rows(ids=IDS, labels=np.array([1, 2])), form=numbered(10))


def test_a_folder_that_is_not_there_is_a_disk_error(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="cannot write"):
        submission_file.write_submission(
            tmp_path / "absent" / "submission.csv", Rows(ids=IDS, labels=np.array([1, 2, 3])), form=numbered(10)
        )


def test_a_full_disk_and_a_kill_leave_the_old_file(tmp_path: Path) -> None:
    child = textwrap.dedent("""
        import os, resource, signal, sys
        from pathlib import Path
        import numpy as np
        from orchestrator.submission import predictions, submission_file
        from orchestrator.errors import DiskError

        path = Path(sys.argv[1])
        rows = predictions.Rows(ids=predictions.image_ids(10_000), labels=np.arange(10_000) % 10)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        try:
            submission_file.write_submission(path, rows, form=submission_file.numbered(10))
        except DiskError as error:
            print(error, os.listdir(path.parent), flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        Path.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
        submission_file.write_submission(path, rows, form=submission_file.numbered(10))
    """)
    path = tmp_path / "submission.csv"
    path.write_text("the old one")
    done = subprocess.run([sys.executable, "-c", child, path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -9, done.stderr
    assert f"cannot write {path}: File too large" in done.stdout
    assert done.stdout.rstrip().endswith("['submission.csv']")
    assert path.read_text() == "the old one"


OLD = {"submission.csv": b"id,label\n0,0\n1,0\n2,0\n", "classes.csv": b"label,class\n0,a\n", "images.csv": b"id,file\n0,x\n"}
NEW = {
    "submission.csv": b"id,label\n0,7\n1,0\n2,9\n",
    "classes.csv": submission_file.name_table("label", "class", ["a", "b"]),
    "images.csv": submission_file.name_table("id", "file", ["x,y", 'z"', "ä"]),
}
# What a kill at each point leaves: no submission, or one with its own names.
LEFT = {
    CrashPoint.SUBMISSION_ASIDE: OLD,
    CrashPoint.SUBMISSION_REMOVED: {"classes.csv": OLD["classes.csv"], "images.csv": OLD["images.csv"]},
    CrashPoint.CLASSES_RENAMED: {"classes.csv": NEW["classes.csv"], "images.csv": OLD["images.csv"]},
    CrashPoint.IMAGES_RENAMED: {"classes.csv": NEW["classes.csv"], "images.csv": NEW["images.csv"]},
}
WRITE = """
import sys
from pathlib import Path
import numpy as np
from orchestrator.submission import predictions, submission_file

folder = Path(sys.argv[1])
rows = predictions.Rows(ids=("0", "1", "2"), labels=np.array([7, 0, 9]))
names = {folder / name: (folder / f"new {name}").read_bytes() for name in ("classes.csv", "images.csv")}
submission_file.write_submission(folder / "submission.csv", rows, form=submission_file.numbered(10), names=names)
"""


def files_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in OLD if (folder / name).exists()}


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("point", LEFT)
def test_a_kill_never_leaves_a_submission_beside_names_of_another(point: CrashPoint, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    written(written(folder, OLD), {f"new {name}": content for name, content in NEW.items()})
    words = (sys.executable, "-c", WRITE, folder)
    done = subprocess.run(words, env={**os.environ, VARIABLE: f"{tmp_path}|{point}|1"}, timeout=60, check=False)
    assert done.returncode == -9
    assert files_of(folder) == LEFT[point]
    write_with_names(folder, [7, 0, 9])
    assert files_of(folder) == NEW
    assert not list(folder.glob("*.part"))


def write_with_names(folder: Path, labels: list[int]) -> None:
    names = {folder / name: NEW[name] for name in ("classes.csv", "images.csv")}
    submission_file.write_submission(
        folder / "submission.csv", Rows(ids=IDS, labels=np.array(labels)), form=numbered(10), names=names
    )


def test_what_cannot_be_written_leaves_submission_and_names(tmp_path: Path) -> None:
    written(tmp_path, OLD)
    with pytest.raises(BadData, match="expected a whole number from 0 to 9"):
        write_with_names(tmp_path, [7, 10, 9])
    assert files_of(tmp_path) == OLD
    (tmp_path / "images.csv.part").mkdir()  # cannot be written aside
    with pytest.raises(DiskError, match="cannot write"):
        write_with_names(tmp_path, [7, 0, 9])
    assert files_of(tmp_path) == OLD
    (tmp_path / "images.csv.part").rmdir()
    write_with_names(tmp_path, [7, 0, 9])
    assert files_of(tmp_path) == NEW


def test_names_are_read_as_they_were_written() -> None:
    names = ("cat", "d,og", 'q"', "line\nend", "", "ä")
    assert submission_file.names_in_table(submission_file.name_table("label", "class", names)) == names
    for other in (b"", b"\xff", b"label,class\n1,a\n", b"label,class\n0,a,b\n", b'label,class\n0,"a\n'):
        assert submission_file.names_in_table(other) == ()
