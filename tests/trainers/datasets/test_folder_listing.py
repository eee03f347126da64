"""Which images a folder has, of which classes, and what is refused."""

import os
import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from orchestrator import plugins
from orchestrator.errors import BadData, MissingInput
from tests.helpers.image_folders import decoded_folders, pictures
from tests.helpers.in_process_cli import refused
from trainers.datasets._listing import listing


def test_a_tenth_of_each_class_is_for_the_test_whatever_else_is_there(tmp_path: Path) -> None:
    root = tmp_path / "pictures"
    for name, images in (("a", 60), ("b", 40), ("c", 5)):
        (root / name).mkdir(parents=True)
        for number in range(images):
            (root / name / f"{number}.png").write_bytes(b"")
    found = listing(root)
    assert np.bincount([image.label for image in found.test]).tolist() == [6, 4, 1]
    assert np.bincount([image.label for image in found.train]).tolist() == [54, 36, 4]
    held_out = {image.name for image in found.test if image.label == 0}
    (root / "a").rename(tmp_path / "aside")
    for entry in (root / "b").iterdir():
        entry.unlink()
    (root / "b").rmdir()
    (root / "d").mkdir()
    for number in range(5):
        (root / "d" / f"{number}.png").write_bytes(b"")
    (root / "a").mkdir()
    for number in reversed(range(60)):
        (tmp_path / "aside" / f"{number}.png").rename(root / "a" / f"{number}.png")
    assert {image.name for image in listing(root).test if image.label == 0} == held_out


def test_train_and_test_folders_are_honoured(tmp_path: Path, data: Path) -> None:
    pictures(tmp_path / "pictures" / "train", classes=2)
    pictures(tmp_path / "pictures" / "test", classes=2, images=5)
    dataset = plugins.dataset(f"folder:{tmp_path / 'pictures'}")
    assert np.bincount(dataset.load(data, "train").labels).tolist() == [12, 12]
    assert np.bincount(dataset.load(data, "test").labels).tolist() == [5, 5]


def test_two_classes_may_be_called_train_and_test(tmp_path: Path) -> None:
    pictures(tmp_path / "pictures", classes=2)
    (tmp_path / "pictures" / "zero").rename(tmp_path / "pictures" / "train")
    (tmp_path / "pictures" / "one").rename(tmp_path / "pictures" / "test")
    assert listing(tmp_path / "pictures").classes == ("test", "train")


def test_hidden_files_and_files_that_are_no_images_are_left_out(root: Path) -> None:
    before = listing(root)
    (root / ".git").mkdir()
    (root / "labels.csv").write_text("a,b\n")
    (root / "zero" / ".DS_Store").write_bytes(b"x")
    (root / "zero" / "._00.png").write_bytes(b"x")
    (root / "zero" / "Thumbs.db").write_bytes(b"x")
    (root / "one" / ".hidden").mkdir()
    assert listing(root) == before


def test_a_link_within_the_folder_is_followed_and_one_out_of_it_never(root: Path, tmp_path: Path) -> None:
    before = len(listing(root).train)
    (root / "zero" / "again.png").symlink_to(root / "zero" / "00.png")
    assert len(listing(root).train) == before + 1
    secret = tmp_path / "secret.png"
    (root / "zero" / "00.png").rename(secret)
    (root / "zero" / "00.png").symlink_to(secret)
    with pytest.raises(BadData, match=r"zero/.*\.png is a link that leads out of .*pictures: replace it with a copy"):
        listing(root)


def _as_file(root: Path) -> None:
    for name in ("zero", "one", "two"):
        (root / name).rename(root.parent / name)
    root.rmdir()
    root.write_text("x")


def _without(root: Path, *names: str) -> None:
    for name in names:
        (root / name).rename(root.parent / name)


def _flattened(root: Path) -> None:
    for file in root.glob("zero/*"):
        file.rename(root / file.name)
    _without(root, "zero", "one", "two")


def _emptied(root: Path, keep: int) -> None:
    for file in sorted((root / "zero").iterdir())[keep:]:
        file.unlink()


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _bomb(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:16] + struct.pack(">II", 60_000, 60_000) + content[24:])


REFUSED: dict[str, tuple[Callable[[Path], Any], int, str]] = {
    "a file": (_as_file, 66, "there is no folder"),
    "one class": (lambda root: _without(root, "zero", "one"), 65, "has 1 subfolders"),
    "no class": (lambda root: _without(root, "zero", "one", "two"), 65, "has 0 subfolders"),
    "an empty class": (lambda root: _emptied(root, 0), 65, "the class 'zero' has 0 images to train on and 0 for the test"),
    "a small class": (lambda root: _emptied(root, 4), 65, "the class 'zero' has 3 images to train on and 1 for the test"),
    "a link out": (lambda root: (root / "zero" / "x.png").symlink_to("/etc/passwd"), 65, "zero/x.png is a link that leads out"),
    "a folder linked out": (lambda root: (root / "other").symlink_to(root.parent), 65, "other is a link that leads out"),
    "a broken link": (lambda root: (root / "zero" / "x.png").symlink_to("gone"), 65, "cannot be read: No such file"),
    "a circle": (lambda root: (root / "zero" / "x.png").symlink_to("x.png"), 65, "zero"),
    "a pipe": (lambda root: os.mkfifo(root / "zero" / "x.png"), 65, "zero/x.png is neither a file nor a folder"),
    "folders below": (lambda root: (root / "zero" / "deep").mkdir(), 65, "zero/deep is a folder in the class 'zero'"),
    "images without classes": (_flattened, 65, "has 0 subfolders: a data set has one per class"),
    "an image beside": (lambda root: (root / "x.PNG").write_bytes(b"x"), 65, "x.PNG lies beside the folders of the classes"),
    "another format": (lambda root: (root / "zero" / "x.bmp").write_bytes(b"BM"), 65, "zero/x.bmp is of a format that cannot"),
    "no image": (lambda root: (root / "zero" / "x.png").write_bytes(b"x"), 65, "zero/x.png is no PNG, JPEG or WebP image"),
    "an empty file": (lambda root: (root / "zero" / "00.png").write_bytes(b""), 65, "zero/00.png is no PNG, JPEG or WebP"),
    "a cut PNG": (lambda root: _cut(root / "zero" / "00.png"), 65, "zero/00.png is damaged or cannot be decoded"),
    "a cut JPEG": (lambda root: _cut(root / "zero" / "01.jpg"), 65, "zero/01.jpg is damaged or cannot be decoded"),
    "a bomb": (lambda root: _bomb(root / "zero" / "00.png"), 65, "zero/00.png claims 60000×60000 pixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_data_set_is_refused_by_name(
    name: str, root: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, code, says = REFUSED[name]
    change(root)
    refused(capsys, code, "data", "verify", f"folder:{root}", "--data-dir", data, says=(says,))
    assert not data.exists() or decoded_folders(data) == []


def test_classes_that_only_one_part_has_are_refused(tmp_path: Path, data: Path) -> None:
    pictures(tmp_path / "pictures" / "train", classes=3)
    pictures(tmp_path / "pictures" / "test", classes=2)
    with pytest.raises(BadData, match="only one of them has 'two'"):
        plugins.dataset(f"folder:{tmp_path / 'pictures'}").check(data)


def empty_images(folder: Path, form: Literal["NFC", "NFD"], *, images: int = 20) -> Path:
    """Classes of empty files, whose names have accents in the form of one system or the other."""
    for name in ("café", "cafz", "thé"):  # é as two characters comes before z, and as one after it
        for number in range(images):
            file = folder / unicodedata.normalize(form, name) / unicodedata.normalize(form, f"é{number}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"")
    return folder


def test_a_folder_has_the_same_labels_and_test_images_whichever_system_wrote_its_names(tmp_path: Path) -> None:
    here, there = (listing(empty_images(tmp_path / form, form)) for form in ("NFC", "NFD"))
    assert here.classes == there.classes == ("cafz", "café", "thé")
    for one, other in ((here.train, there.train), (here.test, there.test)):
        assert [(unicodedata.normalize("NFC", image.name), image.label) for image in other] == [
            (image.name, image.label) for image in one
        ]


def test_train_and_test_of_two_systems_have_the_same_classes(tmp_path: Path) -> None:
    empty_images(tmp_path / "pictures" / "train", "NFC")
    empty_images(tmp_path / "pictures" / "test", "NFD")
    found = listing(tmp_path / "pictures")
    assert found.classes == ("cafz", "café", "thé")
    assert np.bincount([image.label for image in found.test]).tolist() == [20, 20, 20]


def test_two_classes_that_look_the_same_are_told_apart_in_the_message(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        empty_images(tmp_path / "pictures", form)
    with pytest.raises(BadData) as refusal:
        listing(tmp_path / "pictures")
    assert r"'cafe\u0301' and 'caf\xe9'" in str(refusal.value)


def test_a_folder_whose_name_only_looks_the_same_is_named(tmp_path: Path) -> None:
    empty_images(tmp_path / unicodedata.normalize("NFD", "café"), "NFD")
    with pytest.raises(MissingInput) as refusal:
        listing(tmp_path / "café")
    assert r"written 'cafe\u0301' on the disk, and 'caf\xe9' here" in str(refusal.value)


def test_a_plug_in_is_found_however_its_name_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "search_spaces" / (unicodedata.normalize("NFD", "café") + ".py")
    file.parent.mkdir()
    file.write_text("DATASET = 'digits'\nplan = print\n")
    monkeypatch.setattr("search_spaces.__path__", [str(file.parent)])
    assert plugins.plan("café")[:2] == ("café", "digits")
