"""Damaged images are left out where the user asks for it: everywhere the same ones, and every record says so."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from orchestrator import plugins
from orchestrator.errors import InvalidInput
from orchestrator.record import Kind
from orchestrator.sessions.find_recipe import find_recipe
from orchestrator.sessions.tables import frames
from orchestrator.storage.runs import RunsFolder
from orchestrator.support.serialization import to_plain
from tests.helpers.image_folders import pictures
from tests.helpers.in_process_cli import call, refused
from trainers.datasets._listing import listing

QUIET = ("--mirror", "off", "--executor", "in-process")


@pytest.fixture
def damaged(root: Path) -> Path:
    """The folder, with damage in the first image to train on and in the first one for the test."""
    listed = listing(root)
    for name in (listed.train[0].name, listed.test[0].name):
        (root / name).write_bytes(b"no image")
    # A class keeps an image for the test.
    extra = next(image.name for image in listed.train[1:] if image.label == listed.test[0].label)
    for number in range(20):
        (root / f"{listed.classes[0]}/more{number}.png").write_bytes((root / extra).read_bytes())
    (root / "zero" / "x.bmp").write_bytes(b"BM")
    return root


@pytest.mark.slow
def test_a_study_without_the_damaged_images(damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--runs", tmp_path / "runs", "--data-dir", tmp_path / "data")
    search = ("study", "part1", *where, *QUIET, "--device", "cpu")
    new = ("--dataset", f"folder:{damaged}?size=16", "--epochs", "1")
    refused(capsys, 65, *search, *new, "--trials", "1", says=("3 files of", "--skip-damaged"))
    result = call(capsys, *search, *new, "--trials", "1", "--skip-damaged")
    assert result.code == 0, result.messages
    assert f"warning: 3 damaged files of folder:{damaged}?size=16&damaged=skip are left out: one/00.png, " in result.messages
    # Resumed without the option, and with it; with the damaged images it would be another data set.
    assert call(capsys, *search, "--study", "part1-pictures", "--trials", "2").code == 0
    assert call(capsys, *search, "--study", "part1-pictures", "--trials", "2", "--skip-damaged").code == 0
    refused(capsys, 65, *search, "--study", "part1-pictures", *new, "--trials", "2", says=("3 files of", "--skip-damaged"))
    assert call(capsys, "retrain-best", *where, *QUIET, "--epochs", "1", "--device", "cpu").code == 0
    study = RunsFolder(tmp_path / "runs").known("part1-pictures")
    records = study.runs()
    assert [(record.recipe.dataset, record.provenance.skipped_images) for record in records] == [
        (f"folder:{damaged}?size=16&damaged=skip", 3)
    ] * 3
    assert frames(RunsFolder(tmp_path / "runs"), ["part1-pictures"]).runs["skipped_images"].tolist() == [3] * 3
    (retrain,) = study.runs(Kind.RETRAIN)
    listed = listing(damaged)
    kept = [image.name for image in listed.test[1:]]
    folder = study.folder(retrain).path
    assert [row["file"] for row in csv.DictReader((folder / "images.csv").read_text().splitlines())] == kept
    assert len((folder / "submission.csv").read_text().splitlines()) == 1 + len(kept)
    assert call(capsys, "submit", *where, "--device", "cpu").code == 0
    assert call(capsys, "submit", "--check", folder / "submission.csv", "--data-dir", tmp_path / "data").code == 0


def test_names_images_and_labels_are_those_of_the_files_that_are_left(damaged: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{damaged}?damaged=skip")
    listed = listing(damaged)
    assert dataset.names.images is not None
    for part, images in (("train", listed.train), ("test", listed.test)):
        read = dataset.load(data, part)  # type: ignore[arg-type] # mypy does not follow the pair
        assert list(dataset.names.images(data, part)) == [image.name for image in images[1:]]  # type: ignore[arg-type]
        assert read.labels.tolist() == [image.label for image in images[1:]]
        assert len(read.images) == len(images) - 1
    read = dataset.load(data, "train")
    assert dataset.info(data).mean == pytest.approx(read.images.mean(axis=(0, 2, 3), dtype=np.float64) / 255, abs=1e-9)


def test_verify_tells_images_per_class_and_what_was_left_out(
    damaged: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (damaged / "zero" / ".DS_Store").write_bytes(b"x")
    (damaged / "notes.txt").write_text("x")
    (damaged / "one" / "film.mp4").write_bytes(b"x")
    name = f"folder:{damaged}"
    result = call(capsys, "data", "verify", name, "--skip-damaged", "--data-dir", data)
    assert (result.code, result.output) == (0, "")
    first, *lines = result.messages.splitlines()
    assert first.startswith(f"{name}?damaged=skip is complete and verified: 3 classes, ")
    listed = listing(damaged)
    for label, class_name in enumerate(listed.classes):
        train, test = (sum(image.label == label for image in part[1:]) for part in (listed.train, listed.test))
        assert lines[label] == f"  {class_name}: {train} to train on, {test} for the test"
    assert lines[3:6] == [
        "left out: 1 hidden file: zero/.DS_Store",
        "left out: 2 files without the ending of an image: notes.txt, one/film.mp4",
        "left out: 3 damaged files:",
    ]
    assert lines[8] == "  zero/x.bmp is of a format that cannot be read (convert it to PNG, JPEG or WebP)"
    assert len(lines) == 9


def test_the_option_of_train_and_preview(damaged: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps({**to_plain(find_recipe("001-P1")), "dataset": f"folder:{damaged}"}))
    for name, chosen in (("part1", f"folder:{damaged}"), (str(file), None)):
        recipe = find_recipe(name, dataset=chosen, skip_damaged=True, data_folder=data)
        assert recipe.dataset == f"folder:{damaged}?damaged=skip"
    picture = tmp_path / "preview.png"
    words = ("data", "preview", file, "--skip-damaged", "--rows", "1", "--columns", "1", "--data-dir", data, "--output", picture)
    result = call(capsys, *words)
    assert result.code == 0, result.messages
    assert "3 damaged files of" in result.messages
    refused(capsys, 2, "train", "part1", "--dataset", "digits", "--skip-damaged", says=("'digits' has no image files",))


@pytest.mark.parametrize(
    ("argument", "settled"),
    [
        ("/x?damaged=skip", "/x?damaged=skip"),
        ("/x?damaged=skip&size=64", "/x?size=64&damaged=skip"),
        ("/x?size=32&damaged=skip", "/x?damaged=skip"),
        ("/x?a=b/y?damaged=skip", "/x?a=b/y?damaged=skip"),
    ],
)
def test_settings_of_a_folder_have_one_order(argument: str, settled: str) -> None:
    assert plugins.settled_dataset(f"folder:{argument}") == f"folder:{settled}"
    assert plugins.dataset_skipping_damaged(f"folder:{settled}") == f"folder:{settled}"


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("/x?damaged=keep", "the only value of damaged is skip"),
        ("/x?damaged=", "the only value of damaged is skip"),
        ("/x?size=64&size=64", "a setting is given twice"),
        ("/x?size=64&skip=damaged", "unknown setting 'skip'; known: size and damaged"),
    ],
)
def test_other_settings_are_refused(argument: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        plugins.settled_dataset(f"folder:{argument}")


def images_by_name(dataset: str, data: Path) -> dict[str, dict[str, np.ndarray]]:
    """Of each part the images by the names of their files, in the part's order."""
    source = plugins.dataset(dataset)
    assert source.names.images is not None
    found: dict[str, dict[str, np.ndarray]] = {}
    for part in ("train", "test"):
        read = source.load(data, part)
        found[part] = dict(zip(source.names.images(data, part), read.images, strict=True))
        assert len(found[part]) == len(read.labels)
    return found


def test_another_image_is_for_the_test_where_the_chosen_one_is_damaged(tmp_path: Path) -> None:
    root, data = pictures(tmp_path / "photos", images=8), tmp_path / "data"
    whole = images_by_name(f"folder:{root}", data)
    (chosen,) = [name for name in whole["test"] if name.startswith("one/")]
    (root / chosen).write_bytes(b"no image")
    found = images_by_name(f"folder:{root}?damaged=skip", data)
    (test,) = [name for name in found["test"] if name.startswith("one/")]
    assert test in whole["train"]
    assert {*found["train"], *found["test"]} == {*whole["train"], *whole["test"]} - {chosen}
    assert not {*found["train"]} & {*found["test"]}
    everything = {**whole["train"], **whole["test"]}
    for name, image in (*found["train"].items(), *found["test"].items()):
        assert np.array_equal(image, everything[name]), name
    assert images_by_name(f"folder:{root}?damaged=skip", data).keys() == found.keys()  # read again, not decoded again
