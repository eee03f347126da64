"""A competition of one's own: from a folder with a flat test/ to a submission in its form, and any other folder of images."""

import io
import json
import os
import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.record import Kind
from orchestrator.storage.runs import RunsFolder
from tests.helpers.image_folders import digit_images, pictures, write
from tests.helpers.in_process_cli import call, content, exit_code, refused
from tests.submission.competition import CLASSES, NAMES, Competition, predicted, rows, write_flat, write_sample
from trainers.datasets import _image_files

QUIET = ("--mirror", "off", "--executor", "in-process", "--device", "cpu")
SETTINGS: dict[str, Any] = {
    "batch_size": 4,
    "blocks": [{"channels": 8}],
    "hidden": [],
    "augmentation": [],
    "learning_rate": 0.05,
    "dropout": 0.0,
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Competition:
    folder = tmp_path_factory.mktemp("competition")
    pictures(folder / "photos" / "train", images=12)
    write_flat(folder / "photos" / "test")
    shutil.copytree(folder / "photos", folder / "untouched")
    recipe = {"plan": "p", "trainer": "cnn", "dataset": f"folder:{folder / 'photos'}", "epochs": 1, "seed": 1, "params": SETTINGS}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    where = ("--runs", folder / "runs", "--data-dir", folder / "data")
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.stderr", said)
        assert exit_code("train", folder / "recipe.json", *where, *QUIET) == 0, said.getvalue()
        (single,) = RunsFolder(folder / "runs").known("train").runs(Kind.SINGLE)
        assert exit_code("retrain", single.run_id, "--epochs", "12", *where, *QUIET) == 0, said.getvalue()
    (retrain,) = RunsFolder(folder / "runs").known("train").runs(Kind.RETRAIN)
    return Competition(folder / "photos", folder / "runs", folder / "data", retrain.run_id, said.getvalue())


@pytest.fixture
def entered(original: Competition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Competition]:
    """The same with runs of its own; its images may be changed."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(original.runs, tmp_path / "runs")
    yield replace(original, runs=tmp_path / "runs")
    shutil.rmtree(original.root, ignore_errors=True)
    shutil.copytree(original.root.parent / "untouched", original.root)


@pytest.mark.slow
def test_a_retrain_predicts_the_flat_test_folder_and_measures_labelled_images(
    entered: Competition, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = predicted(entered, entered.test)
    assert len(set(expected.values())) > 1  # a model that has learned something
    assert rows(entered.submission) == [["id", "label"], *([name, expected[name]] for name in NAMES)]
    assert rows(entered.submission.with_name("classes.csv"))[1:] == [["0", "one"], ["1", "two"], ["2", "zero"]]
    assert rows(entered.submission.with_name("images.csv"))[1:] == [[name, f"test/{name}"] for name in NAMES]
    note = (
        f"note: 11 images without classes in {entered.test}: submissions predict them, with ids the names of the files. "
        "They have no accuracy: test_acc is measured on 3 labelled images, which are not trained on\n"
    )
    assert entered.said.count(note) == 2  # by train and by retrain
    assert "on 3 images\n" in entered.said  # test_acc, a tenth of three classes of twelve images
    place = entered.root.parent / "runs" / entered.submission.relative_to(entered.runs)
    assert f"submission: {place}, 11 rows for the 11 images without classes in {entered.test}\n" in entered.said
    record = RunsFolder(entered.runs).find_run(entered.retrain)[1].read()
    assert record.test is not None
    assert record.test.images == 3
    before = entered.submission.read_bytes()
    entered.submission.unlink()
    entered.submit(capsys)
    assert entered.submission.read_bytes() == before
    assert "11 rows for the 11 images without classes" in entered.checked(capsys, entered.submission)


@pytest.mark.slow
def test_the_sample_submission_says_how_rows_are_written(entered: Competition, capsys: pytest.CaptureFixture[str]) -> None:
    expected = predicted(entered, entered.test)
    sample = entered.root / "sample_submission.csv"
    write_sample(sample, "0")
    said = entered.submit(capsys, entered.retrain).messages
    numbered = [[name[:-4], str(CLASSES.index(expected[name]))] for name in reversed(NAMES)]
    assert rows(entered.submission) == [["Image", "Class"], *numbered]
    assert f"as in {sample}" in said
    assert "note: labels are the numbers of the classes: 0 is one, 1 is two, 2 is zero\n" in said
    assert "expected" not in entered.checked(capsys, entered.submission)
    assert rows(entered.submission.with_name("images.csv"))[1] == ["é", "test/é.png"]
    # Options are stronger than the sample, and another sample than the one in the folder.
    other = entered.runs.parent / "other.csv"
    write_sample(other, "zero")
    words = ("--sample", other, "--label-column", "Kind")
    entered.submit(capsys, entered.retrain, *words)
    assert rows(entered.submission)[:2] == [["Image", "Kind"], ["é", expected["é.png"]]]
    check = ("submit", "--check", entered.submission, "--data-dir", entered.data)
    refused(capsys, 65, *check, says=("line 1: expected the header Image,Class, found 'Image,Kind'",))
    assert "11 rows for the 11 ids of" in entered.checked(capsys, entered.submission, *words)
    # One that does not belong to the images is refused, before anything is trained.
    sample.write_text("id,label\n01,one\n02,one\n99,one\n")
    says = (f"{sample} is not of the images in {entered.test}. 1 id without an image: 99. 9 images without an id: ",)
    before = content(entered.runs)
    refused(capsys, 65, "submit", *entered.where, "--device", "cpu", says=says)
    refused(capsys, 65, "data", "verify", f"folder:{entered.root}", "--data-dir", entered.data, says=says)
    again = call(capsys, "retrain", entered.retrain, "--epochs", "3", *entered.where, *QUIET)
    assert (again.code, says[0] in again.messages) == (65, True)
    assert content(entered.runs) == before


@pytest.mark.slow
def test_any_folder_of_images_is_predicted(
    entered: Competition, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = predicted(entered, entered.test)
    folder = Path(shutil.copytree(entered.test, tmp_path / "new images"))
    (folder / "é.png").rename(folder / unicodedata.normalize("NFD", "é.png"))
    (folder / "notes.txt").write_text("")
    entered.root.rename(entered.root.with_name("gone"))  # the data set is not needed
    before = content(entered.runs)
    monkeypatch.setattr(_image_files, "_MOST_BYTES", 4 * 3 * 32**2)  # read in three parts
    output = tmp_path / "out.csv"
    output.write_text("id,label\nearlier.png,one\n")
    said = entered.submit(capsys, entered.retrain, "--images", folder, "--output", output).messages
    assert rows(output) == [["id", "label"], *([name, expected[name]] for name in NAMES)]
    assert "left out: 1 file without the ending of an image: notes.txt\n" in said
    assert f"submission: {output}, 11 rows for the 11 images without classes in {folder}, predicted by {entered.retrain}" in said
    columns = ("--id-column", "file", "--label-column", "class", "--labels", "numbers")
    entered.submit(capsys, "--images", folder, "--output", output, *columns)
    assert rows(output)[:2] == [["file", "class"], [" blank.png", str(CLASSES.index(expected[" blank.png"]))]]
    images = ("--images", folder)
    for model in ((entered.retrain,), ()):  # the newest retrain
        words = ("--runs", entered.runs, *model, *images, *columns)
        assert "in order, each label a whole number from 0 to 2" in entered.checked(capsys, output, *words)
    says = ("line 1: expected the header id,label, found 'file,class'",)
    refused(capsys, 65, "submit", entered.retrain, "--check", output, *images, *entered.where, says=says)
    entered.root.with_name("gone").rename(entered.root)
    classes = ("--dataset", f"folder:{entered.root}")
    assert "11 rows" in entered.checked(capsys, output, *classes, *images, *columns)
    assert content(entered.runs) == before
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.slow
def test_damaged_images_are_all_named_or_left_out(
    entered: Competition, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    expected = predicted(entered, entered.test)
    for name in ("01.png", "a,b.png"):
        (entered.test / name).write_bytes(b"no image")
    (entered.test / "x.bmp").write_bytes(b"BM")
    damaged = {"01.png", "a,b.png", "x.bmp"}
    output = tmp_path / "out.csv"
    output.write_text("id,label\nearlier.png,one\n")
    images = ("--images", entered.test)
    says = (f"3 files of {entered.test} cannot be used", *(f"\n  {name} is " for name in damaged), "--skip-damaged")
    before = content(entered.runs)
    for words in (
        ("submit", entered.retrain, *entered.where, "--device", "cpu"),
        ("submit", *images, "--output", output, *entered.where, "--device", "cpu"),
        ("data", "verify", f"folder:{entered.root}", "--data-dir", entered.data),
    ):
        refused(capsys, 65, *words, says=says)
    again = call(capsys, "retrain", entered.retrain, "--epochs", "3", *entered.where, *QUIET)
    assert again.code == 65
    assert all(text in again.messages for text in says)
    assert content(entered.runs) == before
    assert output.read_text() == "id,label\nearlier.png,one\n"
    sound = [name for name in NAMES if name not in damaged]
    said = entered.submit(capsys, *images, "--output", output, "--skip-damaged").messages
    assert rows(output)[1:] == [[name, expected[name]] for name in sound]
    assert f"9 rows for the 12 images without classes in {entered.test}; WITHOUT 3 damaged files: 01.png, a,b.png, x.bmp" in said
    entered.submit(capsys, "--skip-damaged")
    assert entered.submission.read_bytes() == output.read_bytes()
    for file, words in ((output, ("--runs", entered.runs, *images)), (entered.submission, ())):
        assert "9 rows" in entered.checked(capsys, file, *words, "--skip-damaged")
        whole = ("submit", "--check", file, "--data-dir", entered.data, *words)
        refused(capsys, 65, *whole, says=("line 3: expected the row of 01.png, found '02.PNG,",))
    lines = output.read_bytes().splitlines(keepends=True)
    output.write_bytes(b"".join(lines[:2] + lines[3:]))  # without a sound one
    check = ("submit", "--check", output, *images, "--skip-damaged", *entered.where)
    refused(capsys, 65, *check, says=("line 3: expected the row of 02.PNG, found '10.png,",))
    for name in NAMES:
        (entered.test / name).write_bytes(b"")
    words = ("--images", entered.test, "--output", output, "--skip-damaged")
    refused(capsys, 65, "submit", *words, *entered.where, says=("has no image that can be read, but 12 damaged files",))


@pytest.mark.slow
def test_verify_and_dry_run_say_what_becomes_of_images_without_classes(
    entered: Competition, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = f"11 images without classes in {entered.test}: submissions predict them, with ids the names of the files. They have no"
    (entered.test / "x.bmp").write_bytes(b"BM")
    (entered.test / ".DS_Store").write_bytes(b"")
    name = f"folder:{entered.root}"
    result = call(capsys, "data", "verify", name, "--skip-damaged", "--data-dir", tmp_path / "data")
    assert result.code == 0, result.messages
    assert result.messages.splitlines()[-3:] == [
        "left out: 1 hidden file: .DS_Store",
        "left out: 1 damaged file:",
        "  x.bmp is of a format that cannot be read (convert it to PNG, JPEG or WebP)",
    ]
    assert text.replace("11", "12", 1) in result.messages
    (entered.test / "x.bmp").unlink()
    words = ("study", "part1", "--dataset", name, "--trials", "3", "--dry-run", "--device", "cpu", *entered.where)
    assert f"submission {text}" in call(capsys, *words).output
    planned = json.loads(call(capsys, *words, "--format", "json").output)
    assert planned["unlabelled"].startswith(text)


@pytest.mark.slow
def test_classes_that_were_renamed_are_refused_for_the_data_sets_own_images(
    entered: Competition, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (entered.root / "train" / "one").rename(entered.root / "train" / "ones")
    before = content(entered.runs)
    says = (f"is not what {entered.retrain} was trained on: its classes have changed",)
    refused(capsys, 65, "submit", *entered.where, "--device", "cpu", says=says)
    refused(capsys, 65, "submit", "--check", entered.submission, "--data-dir", entered.data, says=says)
    assert content(entered.runs) == before
    # Elsewhere the names are those that the model has learned.
    output = tmp_path / "out.csv"
    entered.submit(capsys, "--images", entered.test, "--output", output)
    assert output.read_bytes() == entered.submission.read_bytes()


REFUSED = {
    "a run's submission": ("runs/train/retrain/{run}/submission.csv", 2, "lies in"),
    "a run's weights": ("runs/train/retrain/{run}/best.pt", 2, "whose files are those of its runs"),
    "a file in a study's folder": ("runs/train/new.csv", 2, "lies in"),
    "a study's folder by a link": ("linked/new.csv", 2, "lies in"),
    "the published copy": ("runs/optuna.db", 2, "lies in"),
    "a folder": ("folder", 2, "is no file that can be replaced"),
    "a link": ("link.csv", 2, "is no file that can be replaced"),
    "a pipe": ("pipe", 2, "is no file that can be replaced"),
    "a folder that is missing": ("missing/out.csv", 66, "there is no folder"),
    "an image": ("images/01.png", 2, "is read for this submission"),
    "the sample": ("sample.csv", 2, "is read for this submission"),
    "another sample": ("sample_submission.csv", 2, "is no submission, so it is not replaced"),
    "an image of the data set": ("other.png", 2, "is no submission, so it is not replaced"),
    "a table with other columns": ("table.csv", 2, "is no submission, so it is not replaced"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_is_not_ones_own_is_never_replaced(
    what: str, entered: Competition, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name, code, says = REFUSED[what]
    write(tmp_path / "images" / "01.png", digit_images(0, 1)[0])
    (tmp_path / "sample.csv").write_text("id,label\n01,one\n")
    (tmp_path / "sample_submission.csv").write_text("id,label\n02,one\n")
    (tmp_path / "table.csv").write_text("id,label,note\n")
    write(tmp_path / "other.png", digit_images(1, 1)[0])
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.csv").symlink_to("sample.csv")
    (tmp_path / "linked").symlink_to(entered.runs / "train")
    os.mkfifo(tmp_path / "pipe")
    output = tmp_path / name.format(run=entered.retrain.rpartition("/")[2])
    before = content(tmp_path)
    words = ("--images", tmp_path / "images", "--sample", tmp_path / "sample.csv", "--output", output)
    refused(capsys, code, "submit", *words, *entered.where, says=(says,))
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("{run} --images {test}", 2, "--images needs --output FILE"),
        ("{run} --output x.csv", 2, "--output would do nothing without --images: leave it out"),
        ("{run} --images {test} --output x.csv --partial", 2, "--partial would do nothing with --images"),
        ("{run} --images {test} --output x.csv --id-column label", 2, "'label' and 'label' cannot be the names of two columns"),
        ("{run} --images {test} --output x.csv --labels both", 2, "both"),
        ("{run} --images {root}/train --output x.csv", 65, "is a folder, where only images without classes can be"),
        ("{run} --images gone --output x.csv", 66, "there is no folder gone"),
        ("{run} --images {test} --output x.csv --sample gone.csv", 66, "there is no sample submission gone.csv"),
        ("{run} --check {submission} --dataset digits --images {test}", 2, "RUN would do nothing with --check and --dataset"),
        ("--check {submission} --images {test} --output x.csv", 2, "--output would do nothing with --check"),
        ("--check {submission} --sample {submission} --skip-damaged", 2, "--skip-damaged needs the images"),
        ("--check {submission} --dataset digits --labels names", 2, "digits has no images without classes"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    words: str, code: int, says: str, entered: Competition, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = {"run": entered.retrain, "test": entered.test, "root": entered.root, "submission": entered.submission}
    filled = [word.format(**given) for word in words.split()]
    where = ("--data-dir", entered.data) if "--check" in words else entered.where
    before = content(tmp_path)
    refused(capsys, code, "submit", *filled, *where, says=(says,))
    assert content(tmp_path) == before


@pytest.mark.slow
def test_names_that_are_no_utf8_cannot_be_ids(entered: Competition, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "images"
    write(folder / "a.png", digit_images(0, 1)[0])
    for name in (b"\xff.png", b"\xfe.png"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"")
    words = ("--images", folder, "--output", tmp_path / "out.csv", *entered.where)
    refused(capsys, 65, "submit", *words, says=(r"are UTF-8; rename 2 files: \udcfe.png, \udcff.png",))
    assert not (tmp_path / "out.csv").exists()
