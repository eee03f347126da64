"""A flat test/ holds images without classes: they are no part of the data set, and image files are read as its images are."""

import shutil
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.features
import PIL.Image
import pytest

from orchestrator import plugins
from orchestrator.contracts import ImageFiles
from orchestrator.errors import BadData, MissingInput
from trainers.datasets import _image_files
from trainers.datasets._listing import flat_listing, listing

PARTS: tuple[Literal["train", "test"], ...] = ("train", "test")


def touched(root: Path, *folders: str, images: int = 20, ending: str = "png") -> Path:
    """Folders of empty files."""
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for number in range(images):
            (root / folder / f"{number}.{ending}").write_bytes(b"")
    return root


# Folders of images -> classes, and whether test/ is without classes.
LAYOUTS: dict[tuple[str, ...], tuple[tuple[str, ...], bool]] = {
    ("train/a", "train/b", "test"): (("a", "b"), True),
    ("a", "b", "test"): (("a", "b"), True),
    ("a", "b", "c", "test"): (("a", "b", "c"), True),
    ("train/a", "train/b", "test/a", "test/b"): (("a", "b"), False),
    ("train", "test"): (("test", "train"), False),
    ("a", "test"): (("a", "test"), False),
    ("a", "train", "test"): (("a", "test", "train"), False),
    ("a", "b", "Test"): (("Test", "a", "b"), False),
}


@pytest.mark.parametrize("folders", LAYOUTS)
def test_a_flat_test_folder_beside_classes_is_without_classes(folders: tuple[str, ...], tmp_path: Path) -> None:
    classes, without = LAYOUTS[folders]
    found = listing(touched(tmp_path / "photos", *folders))
    assert found.classes == classes
    assert found.unlabelled == (tmp_path / "photos" / "test" if without else None)
    held_out = 20 if folders[-1] == "test/b" else 2
    assert np.bincount([image.label for image in found.test]).tolist() == [held_out] * len(classes)
    assert len(found.train) + len(found.test) == 20 * (len(folders) - without)


@pytest.mark.parametrize("folders", [("train/a", "train/b"), ("a", "b")])
def test_images_without_classes_change_nothing_of_the_others(folders: Sequence[str], tmp_path: Path) -> None:
    root = touched(tmp_path / "photos", *folders)
    touched(root, "test", images=1, ending="bmp")  # of a format that cannot be read, as only a submission needs it
    before = listing(root)
    assert not before.unreadable
    touched(tmp_path / "plain", *(folder.removeprefix("train/") for folder in folders))
    alone = listing(tmp_path / "plain")
    assert [image.name.removeprefix("train/") for image in before.test] == [image.name for image in alone.test]
    (root / "test" / "more.png").write_bytes(b"")
    (root / "sample_submission.csv").write_text("id,label\n")
    after = listing(root)
    assert after == before
    assert after.digest == before.digest


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("unknown/0.png",), "only one of them has 'a', 'b', 'unknown'. Images without classes lie in test/ itself"),
        (("0.png", "a/0.png"), "test/0.png lies beside the folders of the classes"),
        (("notes.txt",), "only one of them has 'a', 'b'"),
    ],
)
def test_a_test_folder_that_is_neither_is_refused(names: Sequence[str], says: str, tmp_path: Path) -> None:
    root = touched(tmp_path / "photos", "train/a", "train/b")
    for name in names:
        (root / "test" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "test" / name).write_bytes(b"")
    with pytest.raises(BadData) as refusal:
        listing(root)
    assert says in str(refusal.value)


@pytest.mark.parametrize("sample", ["sample_submission.csv", "sampleSubmission.csv", None])
def test_the_data_set_names_the_folder_and_its_sample(sample: str | None, tmp_path: Path, data: Path) -> None:
    root = touched(tmp_path / "photos", "train/a", "train/b", "test")
    if sample is not None:
        (root / sample).write_text("id,label\n")
    for name, skip in ((f"folder:{root}", False), (f"folder:{root}?damaged=skip", True)):
        unlabelled = plugins.dataset(name).names.unlabelled
        assert unlabelled is not None
        found = unlabelled(data)
        assert found is not None
        assert (found.folder, len(found.names), found.skip_damaged) == (root / "test", 20, skip)
        assert found.sample == (root / sample if sample is not None else None)
    plain = plugins.dataset(f"folder:{root / 'train'}").names.unlabelled
    assert plain is not None
    assert plain(data) is None


def odd_pictures(folder: Path) -> Path:
    """Images that are not simply red, green and blue, upright and square."""
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8).repeat(9, axis=0).repeat(9, axis=1)
    picture = PIL.Image.fromarray(pixels)
    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    picture.save(folder / "turned.jpg", exif=turned, quality=95)
    picture.save(folder / "turned.png", exif=turned)
    picture.convert("CMYK").save(folder / "printed.jpeg", quality=95)
    picture.convert("RGBA").rotate(30).save(folder / "transparent.png")
    picture.convert("P").save(folder / "palette.PNG")
    picture.convert("L").save(folder / "grey.png")
    PIL.Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257).save(folder / "deep.png")
    if PIL.features.check("webp"):
        picture.save(folder / "turned.webp", exif=turned, quality=95)
    picture.resize((8, 90)).save(folder / "high.png")
    return folder


def read(files: ImageFiles) -> dict[str, Any]:
    return {name: image for part in files.read(files.names) for name, image in zip(part.names, part.images, strict=True)}


def image_files(dataset: str, folder: Path) -> ImageFiles:
    named = plugins.dataset(dataset).names.image_files
    assert named is not None
    return named(folder)


def test_image_files_are_read_exactly_as_the_images_of_the_data_set(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = odd_pictures(tmp_path / "flat")
    for name in ("a", "b"):
        shutil.copytree(flat, tmp_path / "photos" / name)
    name = f"folder:{tmp_path / 'photos'}?size=24"
    dataset = plugins.dataset(name)
    assert dataset.names.images is not None
    own = {
        file: image
        for part in PARTS
        for file, image in zip(dataset.names.images(data, part), dataset.load(data, part).images, strict=True)
    }
    files = image_files(name, flat)
    assert set(files.names) == {path.name for path in flat.iterdir()}
    found = read(files)
    assert found.keys() == set(files.names)
    for file, image in found.items():
        assert np.array_equal(image, own[f"a/{file}"]), file
    # In parts, with damaged files among them.
    monkeypatch.setattr(_image_files, "_MOST_BYTES", 2 * 3 * 24**2)
    (flat / "grey.png").write_bytes(b"")
    (flat / "x.bmp").write_bytes(b"BM")
    parts = list((files := image_files(name, flat)).read(files.names))
    assert {len(part.names) + len(part.damaged) for part in parts[:-1]} == {2}
    assert {name for part in parts for name in part.damaged} == {"grey.png", "x.bmp"}
    assert [file for part in parts for file in part.names] == [name for name in files.names if name[0] not in "gx"]
    again = {file: image for part in parts for file, image in zip(part.names, part.images, strict=True)}
    assert all(np.array_equal(image, found[file]) for file, image in again.items())


def test_colours_become_grey_for_a_data_set_of_one_channel(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "colours.png")
    (image,) = read(image_files("digits", tmp_path)).values()
    assert np.array_equal(image[0], np.asarray(PIL.Image.fromarray(pixels).convert("L")))
    with pytest.raises(ValueError, match="1 or 3 channels, not 2"):
        _image_files.image_files(size=8, channels=2)


def test_the_order_is_the_same_whichever_system_wrote_the_names(tmp_path: Path) -> None:
    orders = []
    for form in ("NFC", "NFD"):
        (tmp_path / form).mkdir()
        for name in ("é", "ez", "e", "f", "10", "9"):  # é as two characters comes before ez, and as one after f
            (tmp_path / form / f"{unicodedata.normalize(form, name)}.png").write_bytes(b"")
        orders.append([unicodedata.normalize("NFC", name) for name in flat_listing(tmp_path / form).names])
    assert orders == [["10.png", "9.png", "e.png", "ez.png", "f.png", "é.png"]] * 2


def test_only_a_folder_of_images_is_read(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"there is no folder .*gone"):
        image_files("digits", tmp_path / "gone")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(BadData, match="has no images"):
        image_files("digits", tmp_path)
    PIL.Image.new("L", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / ".hidden").mkdir()
    found = image_files("digits", tmp_path)
    assert (found.names, found.others) == (("a.png",), (".hidden", "notes.txt"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadData, match="folder is a folder, where only images without classes can be"):
        image_files("digits", tmp_path)
