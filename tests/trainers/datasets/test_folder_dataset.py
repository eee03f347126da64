"""A folder of images as a data set: which images it has, what they become, and that nothing outdated or foreign is ever read."""

import io
import json
import os
import re
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.features
import PIL.Image
import pytest
import torch

from orchestrator import plugins
from orchestrator.errors import BadData, DiskError, InvalidInput, MissingInput
from orchestrator.record import Kind, Status
from orchestrator.sessions.fetch_data import ensure, look
from orchestrator.sessions.find_recipe import find_recipe
from orchestrator.storage.runs import RunsFolder
from orchestrator.support.names import checked_name
from orchestrator.support.serialization import to_plain
from orchestrator.worker.splits import split
from tests.helpers.image_folders import digit_images, enlarged, pictures, write
from tests.helpers.in_process_cli import call, content, refused
from tests.helpers.in_process_study import conduct
from tests.helpers.paths import PLUGINS, ROOT
from tests.helpers.subprocess_cli import run
from trainers.datasets._decoding import dimensions
from trainers.datasets._listing import listing

QUIET = ("--mirror", "off", "--executor", "in-process")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return pictures(tmp_path / "pictures")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def places(data: Path) -> list[Path]:
    """What is kept of folders below a data folder."""
    return sorted((data / "folders").iterdir())


def moments(place: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in place.iterdir()}


# ------------------------------------------------------------------------------------------------------------ images


def test_images_and_classes_are_those_of_the_files(root: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{root}")
    class_names, image_names = dataset.names.classes, dataset.names.images
    assert class_names is not None
    assert class_names(data) == ("one", "two", "zero")
    parts: tuple[Literal["train", "test"], ...] = ("train", "test")
    read = {part: dataset.load(data, part) for part in parts}
    assert image_names is not None
    files = [
        (name, image, label)
        for part, found in read.items()
        for name, image, label in zip(image_names(data, part), found.images, found.labels, strict=True)
    ]
    assert {file for file, _, _ in files} == {path.relative_to(root).as_posix() for path in root.glob("*/*")}
    for file, image, label in files:
        assert Path(file).parent.name == class_names(data)[label]
        with PIL.Image.open(root / file) as picture:
            side = min(picture.size)
            left, top = round((picture.width - side) / 2), round((picture.height - side) / 2)
            square = picture.crop((left, top, left + side, top + side)).resize((32, 32), PIL.Image.Resampling.BILINEAR)
            expected = np.asarray(square, dtype=np.int64).transpose(2, 0, 1)
        # Two implementations of the same JPEG transform and filter: single values differ by rounding.
        difference = np.abs(image - expected)
        assert difference.max() <= 5, file
        assert difference.mean() < 0.6, file


def test_an_image_of_the_right_size_is_kept_bit_for_bit(tmp_path: Path, data: Path) -> None:
    images = torch.randint(0, 256, (2, 5, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for label, name in enumerate("ab"):
        for number in range(5):
            write(tmp_path / "pictures" / name / f"{number}.png", images[label, number])
    dataset = plugins.dataset(f"folder:{tmp_path / 'pictures'}?size=16")
    found = [image for part in ("train", "test") for image in dataset.load(data, part).images]
    assert {image.tobytes() for image in found} == {image.numpy().tobytes() for image in images.flatten(0, 1)}


@pytest.mark.parametrize(
    ("mode", "ending"),
    [("L", "png"), ("L", "jpg"), ("RGBA", "png"), ("P", "png"), ("I;16", "png"), ("CMYK", "jpg"), ("RGB", "webp")],
)
def test_every_kind_of_picture_becomes_rgb(mode: str, ending: str, tmp_path: Path, data: Path) -> None:
    if ending == "webp" and not PIL.features.check("webp"):
        pytest.skip("the Pillow that is installed cannot write WebP")
    grey = np.linspace(0, 255, 32 * 32).reshape(32, 32).astype(np.uint8)
    picture = PIL.Image.fromarray(grey).convert(mode) if mode != "I;16" else PIL.Image.fromarray(grey.astype(np.uint16) * 257)
    for name in "ab":
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(5):
            picture.save(tmp_path / "pictures" / name / f"{number}.{ending}")
    images = plugins.dataset(f"folder:{tmp_path / 'pictures'}").load(data, "train").images
    assert images.shape == (8, 3, 32, 32)
    assert np.abs(images - grey.astype(np.int64)).max() <= 8  # what JPEG and WebP lose on a slope of grey


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path, data: Path) -> None:
    grey = np.zeros((32, 32, 3), dtype=np.uint8)
    grey[:16] = 255  # the upper half is white
    exif = PIL.Image.Exif()
    exif[0x0112] = 3  # upside down
    for name in "ab":
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(5):
            PIL.Image.fromarray(grey).save(tmp_path / "pictures" / name / f"{number}.jpg", exif=exif)
    images = plugins.dataset(f"folder:{tmp_path / 'pictures'}").load(data, "train").images
    assert images[:, :, :14].max() <= 10
    assert images[:, :, 18:].min() >= 245


def test_large_and_narrow_pictures_at_64_pixels(tmp_path: Path, data: Path) -> None:
    for label, name in enumerate("ab"):
        for number, image in enumerate(digit_images(label, 5)):
            size = ((224, 300), (300, 224), (224, 224), (1, 9_000), (9_000, 2))[number]
            write(tmp_path / "pictures" / name / f"{number}.jpg", enlarged(image, *size))
    dataset = plugins.dataset(f"folder:{tmp_path / 'pictures'}?size=64")
    assert dataset.load(data, "train").images.shape == (8, 3, 64, 64)
    assert dataset.info(data).size == 64


# ------------------------------------------------------------------------------------------------- what is in the folder


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
    with pytest.raises(BadData, match=r"zero/.*\.png is a link that leads out of .*pictures: put a copy"):
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
    assert not data.exists() or places(data) == []


def test_classes_that_only_one_part_has_are_refused(tmp_path: Path, data: Path) -> None:
    pictures(tmp_path / "pictures" / "train", classes=3)
    pictures(tmp_path / "pictures" / "test", classes=2)
    with pytest.raises(BadData, match="only one of them has 'two'"):
        plugins.dataset(f"folder:{tmp_path / 'pictures'}").check(data)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": b"Exif\0\0" + bytes(300)}, {"lossless": True}])
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_dimensions_are_read_from_the_header(kind: str, options: dict[str, Any]) -> None:
    if kind == "webp" and not PIL.features.check("webp"):
        pytest.skip("the Pillow that is installed cannot write WebP")
    stream = io.BytesIO()
    PIL.Image.new("RGB", (37, 21)).save(stream, kind, **options)
    assert dimensions(stream.getvalue()) == (37, 21)
    for length in range(30):
        assert dimensions(stream.getvalue()[:length]) in (None, (37, 21))


# ------------------------------------------------------------------------------------------------------- what is kept


def test_the_images_are_decoded_once(root: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{root}")
    first = dataset.load(data, "train").images
    (place,) = places(data)
    before = moments(place)
    assert set(before) == {"train.npy", "test.npy", "facts.json"}
    assert np.array_equal(np.load(place / "train.npy", allow_pickle=False), first)
    again = plugins.dataset(f"folder:{root}?size=32")
    again.check(data)
    assert np.array_equal(again.load(data, "train").images, first)
    assert moments(place) == before


@pytest.mark.parametrize("change", ["content", "time", "added", "removed", "renamed", "class"])
def test_a_changed_folder_is_read_again(change: str, root: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{root}")
    before = dataset.info(data)
    (place,) = places(data)
    file = root / "zero" / "00.png"
    if change == "content":
        stamp = file.stat().st_mtime_ns
        write(file, torch.full((3, 40, 40), 200, dtype=torch.uint8))
        os.utime(file, ns=(stamp, stamp))  # another size tells
    elif change == "time":
        os.utime(file, ns=(1, 1))
    elif change == "added":
        write(root / "zero" / "new.png", torch.zeros(3, 8, 8, dtype=torch.uint8))
    elif change == "removed":
        file.unlink()
    elif change == "renamed":
        file.rename(root / "zero" / "other.png")
    else:
        pictures(root, classes=4)
    after = dataset.info(data)
    assert places(data) != [place]
    assert len(places(data)) == 1  # what is outdated is deleted
    assert (after.train_images, after.classes) == {
        "added": (before.train_images + 1, 3),
        "removed": (before.train_images - 1, 3),
        "class": (before.train_images + 11, 4),
    }.get(change, (before.train_images, 3))


@pytest.mark.parametrize("damage", ["train.npy", "test.npy", "facts.json", "cut", "gone"])
def test_what_is_kept_and_damaged_is_made_again(damage: str, root: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{root}")
    first = dataset.load(data, "train").images
    (place,) = places(data)
    file = place / (damage if "." in damage else "train.npy")
    changed = bytearray(file.read_bytes())
    if damage == "facts.json":
        changed = bytearray(b'{"format": 1}')
    elif damage == "cut":
        del changed[-100:]
    else:
        changed[-1] ^= 1
    file.unlink()
    if damage != "gone":
        file.write_bytes(changed)
    if damage == "test.npy":
        dataset.check(data)
    assert np.array_equal(dataset.load(data, "train").images, first)
    (place,) = places(data)
    assert np.array_equal(np.load(place / "train.npy", allow_pickle=False), first)


def test_what_a_killed_process_left_is_cleared_away(root: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{root}")
    dataset.check(data)
    (place,) = places(data)
    aside = place.with_name(place.name[: -len("-0123456789abcdef")] + "-killed.part")
    place.rename(aside)
    dataset.check(data)
    assert places(data) == sorted([place, aside])  # another process may be at it
    os.utime(aside, (1, 1))
    os.utime(root / "zero" / "00.png", (1, 1))
    dataset.check(data)
    assert aside not in places(data)
    assert len(places(data)) == 1


@pytest.mark.slow  # two processes that import torch
def test_processes_that_read_it_at_the_same_moment_do_not_disturb_each_other(root: Path, data: Path) -> None:
    code = f"""
from pathlib import Path
from orchestrator import plugins
print(plugins.dataset("folder:{root}").load(Path("{data}"), "train").images.sum())
"""
    both = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = {process.communicate(timeout=120)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(sums) == len(places(data)) == 1


def test_a_full_disk_leaves_nothing(root: Path, data: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(DiskError, match=r"cannot write .*pictures-.*: File too large"):
            plugins.dataset(f"folder:{root}").check(data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert places(data) == []
    plugins.dataset(f"folder:{root}").check(data)


def test_a_data_folder_that_cannot_be_written_is_a_disk_error(root: Path, data: Path) -> None:
    data.write_text("a file")
    with pytest.raises(DiskError, match="cannot write"):
        plugins.dataset(f"folder:{root}").check(data)


# ------------------------------------------------------------------------------------------------------------- facts


def test_what_suits_it_is_measured_on_its_training_images(root: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{root}")
    info = dataset.info(data)
    images = dataset.load(data, "train").images / 255
    assert info.mean == pytest.approx(images.mean(axis=(0, 2, 3)), abs=1e-9)
    assert info.std == pytest.approx(images.std(axis=(0, 2, 3)), abs=1e-9)
    assert (info.classes, info.channels, info.size, info.padding, info.flip) == (3, 3, 32, 4, True)
    assert info.train_images == len(images) == 33


@pytest.mark.parametrize(
    ("classes", "images", "held_out", "batch_sizes"),
    [
        (2, 5, 2, (4,)),
        (3, 40, 10, (4, 8)),
        (10, 200, 180, (16, 32, 64, 128)),
        pytest.param(100, 600, 5_000, (64, 128, 256, 512), marks=pytest.mark.slow),
    ],
)
def test_the_split_and_the_batch_sizes_fit_folders_of_every_size(
    classes: int, images: int, held_out: int, batch_sizes: tuple[int, ...], tmp_path: Path, data: Path
) -> None:
    root = tmp_path / "pictures"
    write(tmp_path / "one.png", torch.zeros(3, 8, 8, dtype=torch.uint8))
    for label in range(classes):
        (root / str(label)).mkdir(parents=True)
        for number in range(images):
            os.link(tmp_path / "one.png", root / str(label) / f"{number}.png")
    dataset = plugins.dataset(f"folder:{root}?size=8")
    info = dataset.info(data)
    assert (info.validation_images, info.confirmation_images) == (held_out, held_out)
    assert info.batch_sizes == batch_sizes
    assert min(info.std) > 0  # of images that are black throughout
    labels = dataset.load(data, "train").labels
    parts = split(labels, seed=0, validation=held_out, confirmation=held_out)
    for part in (parts.train, parts.validation, parts.confirmation):
        assert len(np.unique(labels[part])) == classes


# -------------------------------------------------------------------------------------------------------------- names


def test_a_name_means_the_same_from_every_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert plugins.settled_dataset("folder:a/../b/") == f"folder:{tmp_path}/b"
    assert plugins.settled_dataset("folder:b?size=32") == f"folder:{tmp_path}/b"
    assert plugins.settled_dataset("folder:b?size=64") == f"folder:{tmp_path}/b?size=64"
    assert plugins.settled_dataset(f"folder:{tmp_path}/b?size=64") == f"folder:{tmp_path}/b?size=64"
    assert plugins.settled_dataset("folder:~") == f"folder:{Path.home()}"
    assert plugins.settled_dataset("digits") == "digits"


@pytest.mark.parametrize("name", ["pictures", "my pictures (2)", "写真", "..x..", "-a-", "x" * 200, "/"])
def test_a_study_is_named_after_the_folder_and_legally_so(name: str, tmp_path: Path) -> None:
    label = plugins.dataset_label(f"folder:{tmp_path}/{name}")
    assert checked_name(f"part1-{label}", "study") == f"part1-{label}"
    assert name != "pictures" or label == "pictures"
    assert name != "my pictures (2)" or label == "my-pictures-2"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("folder", "needs to be told which: folder:PATH"),
        ("folder:", "needs to be told which: folder:PATH"),
        ("folder:?size=32", "needs the path of a folder"),
        ("folder:x?size=0", "size is a number of pixels, 8 to 1024"),
        ("folder:x?size=big", "size is a number of pixels, 8 to 1024"),
        ("folder:x?sise=32", "unknown setting 'sise'; known: size"),
        ("folder:~nobody-of-that-name/x", "cannot be used as a path"),
        ("folder:\udcff", "cannot be used as a path"),
        ("digits:x", "the data set 'digits' is a single one"),
        ("foldr:x", "unknown data set 'foldr'; known: folder, "),
    ],
)
def test_names_that_cannot_be(name: str, says: str) -> None:
    for use in (plugins.dataset, plugins.settled_dataset, plugins.dataset_label):
        with pytest.raises(InvalidInput, match=re.escape(says)):
            use(name)


# -------------------------------------------------------------------------------------------------- the command line


def test_from_a_folder_of_images_to_its_predictions(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--runs", tmp_path / "runs", "--data-dir", tmp_path / "data")
    search = ("study", "part1", *where, *QUIET)
    monkeypatch.chdir(tmp_path)
    relative = ("--dataset", "folder:pictures?size=16", "--epochs", "1")
    assert call(capsys, *search, *relative, "--trials", "1").code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    refused(capsys, 66, *search, *relative, "--trials", "2", says=(f"there is no folder {tmp_path}/elsewhere/pictures",))
    # A second trial from elsewhere, with the study named: what is left out comes from study.json.
    result = call(capsys, *search, "--study", "part1-pictures", "--trials", "2")
    assert result.code == 0, result.messages
    study = RunsFolder(tmp_path / "runs").known("part1-pictures")
    trials = study.runs(Kind.TRIAL)
    assert [record.status for record in trials] == [Status.COMPLETE] * 2
    assert {record.recipe.dataset for record in trials} == {f"folder:{root}?size=16"}
    assert len({record.provenance.data_digest for record in trials}) == 1
    result = call(capsys, "retrain-best", *where, *QUIET, "--epochs", "1")
    assert result.code == 0, result.messages
    (retrain,) = study.runs(Kind.RETRAIN)
    assert retrain.test is not None
    assert retrain.test.images == 3
    folder = study.folder(retrain).path
    assert (folder / "submission.csv").read_text().splitlines()[0] == "id,label"
    assert (folder / "classes.csv").read_text() == "label,class\n0,one\n1,two\n2,zero\n"
    check = (
        "submit",
        "--check",
        folder / "submission.csv",
        "--dataset",
        f"folder:{root}?size=16",
        "--data-dir",
        tmp_path / "data",
    )
    assert "3 rows for the test images of folder:" in call(capsys, *check).output
    assert call(capsys, "submit", *where, "--device", "cpu").code == 0
    refused(capsys, 2, "submit", *where, "--ood-dir", tmp_path, says=("has no out-of-distribution files: leave out --ood-dir",))


def test_a_study_never_goes_on_with_other_images(root: Path, tmp_path: Path) -> None:
    request: dict[str, Any] = {"plan": "part1", "dataset": f"folder:{root}?size=16", "epochs": 1}
    conduct(tmp_path, 1, **request)
    file = root / listing(root).train[0].name
    original, stamp = file.read_bytes(), file.stat().st_mtime_ns
    write(file, torch.zeros(3, 20, 20, dtype=torch.uint8))
    with pytest.raises(BadData, match="is not what the other runs of this study were trained on"):
        conduct(tmp_path, 2, **request)
    study = RunsFolder(tmp_path / "runs").known("part1-pictures")
    assert [record.status for record in study.runs(Kind.TRIAL)] == [Status.COMPLETE, Status.RUNNING]
    file.write_bytes(original)
    os.utime(file, ns=(stamp + 1, stamp + 1))  # the same images, though decoded again
    conduct(tmp_path, 2, **request)
    assert [record.status for record in study.runs(Kind.TRIAL)] == [Status.COMPLETE] * 2


def test_a_recipe_names_the_folder_by_its_absolute_path(
    root: Path, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("001-P1", "part1"):
        recipe = find_recipe(name, dataset="folder:pictures?size=16", data_folder=data)
        assert recipe.dataset == f"folder:{root}?size=16"
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps({**to_plain(find_recipe("001-P1")), "dataset": "folder:pictures"}))
    assert find_recipe(str(file)).dataset == f"folder:{root}"


@pytest.mark.slow  # processes of its own for the conductor, the worker and the copies
def test_a_recipe_is_trained_on_a_folder_by_processes(root: Path, tmp_path: Path, data: Path) -> None:
    words = ("train", "part1", "--dataset", "folder:pictures", "--epochs", "2", "--runs", tmp_path / "runs", "--data-dir", data)
    run(*words, folder=tmp_path)
    (record,) = RunsFolder(tmp_path / "runs").known("train").runs()
    assert (record.status, record.recipe.dataset) == (Status.COMPLETE, f"folder:{root}")
    run(*words, folder=tmp_path)
    run("submit", "--runs", tmp_path / "runs", "--data-dir", data, record.run_id, folder=PLUGINS)
    path = RunsFolder(tmp_path / "runs").known("train").folder(record).path
    assert (path / "classes.csv").read_text() == "label,class\n0,one\n1,two\n2,zero\n"
    assert len((path / "submission.csv").read_text().splitlines()) == 4


def test_a_dry_run_keeps_nothing_but_the_images_that_were_read(
    root: Path, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("study", "part1", "--runs", tmp_path / "runs", "--data-dir", data, "--dataset", f"folder:{root}", "--trials", "3")
    assert call(capsys, *words, "--dry-run", "--device", "cpu").code == 0
    before = content(tmp_path)
    assert {Path(name).parts[0] for name in before} == {"pictures", "data"}
    assert call(capsys, *words, "--dry-run", "--device", "cpu").code == 0
    assert content(tmp_path) == before


def test_data_verify_and_fetch_take_a_folder(root: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("verify", "fetch"):
        result = call(capsys, "data", word, f"folder:{root}", "--data-dir", data)
        assert result.code == 0
        assert "is there and right" in result.messages
        refused(capsys, 66, "data", word, f"folder:{root}x", "--data-dir", data, says=(f"there is no folder {root}x",))
    assert json.loads((places(data)[0] / "facts.json").read_text())["classes"] == ["one", "two", "zero"]


def test_what_was_read_is_loaded_without_torch(root: Path, data: Path) -> None:
    plugins.dataset(f"folder:{root}").check(data)
    code = f"""
import sys
from pathlib import Path
from orchestrator import plugins
dataset = plugins.dataset("folder:{root}")
dataset.check(Path("{data}"))
dataset.load(Path("{data}"), "test")
dataset.info(Path("{data}"))
assert not {{"torch", "torchvision"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_data_folder_among_the_images_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(root)
    says = ("lies among the images", "--data-dir")
    refused(capsys, 2, "data", "verify", f"folder:{root}", "--data-dir", root / "data", says=says)
    assert content(root) == before


def test_a_missing_folder_is_said_before_anything_is_fetched(tmp_path: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{tmp_path / 'gone'}")
    for use in (dataset.check, dataset.info, dataset.fetch, lambda folder: dataset.load(folder, "test")):
        with pytest.raises(MissingInput, match="there is no folder"):
            use(data)
    said: list[str] = []
    for find in (ensure, look):
        with pytest.raises(MissingInput, match="there is no folder"):
            find(f"folder:{tmp_path / 'gone'}", data, said.append)
    assert said == []
    assert not data.exists()
