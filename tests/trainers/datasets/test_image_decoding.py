"""Image files of every kind become square RGB images of one size."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import PIL.features
import PIL.Image
import pytest
import torch

from orchestrator import plugins
from tests.helpers.image_folders import digit_images, enlarged, write
from trainers.datasets._decoding import decoding
from trainers.datasets._image_structure import dimensions, orientation


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


# Where the left upper quarter of the picture, as it lies in the file, is seen, and where the right upper one is.
# 0 to 3 are left above, right above, left below and right below.
SEEN = {1: (0, 1), 2: (1, 0), 3: (3, 2), 4: (2, 3), 5: (0, 2), 6: (1, 3), 7: (3, 1), 8: (2, 0)}


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "webp big-endian"])
def test_a_photograph_is_turned_as_its_camera_says_in_every_format(kind: str, tmp_path: Path) -> None:
    if kind.startswith("webp") and not PIL.features.check("webp"):
        pytest.skip("the Pillow that is installed cannot write WebP")
    red_and_white = np.zeros((32, 32, 3), dtype=np.uint8)
    red_and_white[:16, :16, 0] = 255
    red_and_white[:16, 16:] = 255
    files = []
    for number in SEEN:
        exif = PIL.Image.Exif()
        exif[0x0112] = number
        data = exif.tobytes()
        if "big-endian" in kind:  # without the six bytes that Pillow puts before it
            data = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, number, 0, 0)
        files.append(tmp_path / f"{number}")
        options = {"lossless": True} if kind.startswith("webp") else {}
        PIL.Image.fromarray(red_and_white).save(files[-1], kind.split(maxsplit=1)[0], exif=data, **options)
    with decoding(32, len(files)) as decode:
        found = decode(files)
    assert found.damaged == {}
    for image, (red, white) in zip(found.images, SEEN.values(), strict=True):
        quarters = [image[:, row : row + 12, column : column + 12].mean(axis=(1, 2)) for row in (2, 18) for column in (2, 18)]
        assert quarters[red] == pytest.approx([255, 0, 0], abs=6)
        assert quarters[white] == pytest.approx([255, 255, 255], abs=6)
        assert sum(float(quarter.sum()) for quarter in quarters) == pytest.approx(4 * 255, abs=40)


@pytest.mark.parametrize(
    "exif",
    [b"", b"II*\0", b"XX*\0" + bytes(30), b"II*\0\xff\xff\xff\xff", b"MM\0*" + struct.pack(">IHHHIH", 8, 9, 0x0112, 3, 1, 9)],
)
def test_exif_data_that_say_nothing_turn_nothing(exif: bytes) -> None:
    chunk = b"EXIF" + struct.pack("<I", len(exif)) + exif + b"\0" * (len(exif) % 2)
    content = b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
    for length in range(12, len(content) + 1):
        assert orientation(content[:length]) == 1


def test_large_and_narrow_pictures_at_64_pixels(tmp_path: Path, data: Path) -> None:
    for label, name in enumerate("ab"):
        for number, image in enumerate(digit_images(label, 5)):
            size = ((224, 300), (300, 224), (224, 224), (1, 9_000), (9_000, 2))[number]
            write(tmp_path / "pictures" / name / f"{number}.jpg", enlarged(image, *size))
    dataset = plugins.dataset(f"folder:{tmp_path / 'pictures'}?size=64")
    assert dataset.load(data, "train").images.shape == (8, 3, 64, 64)
    assert dataset.info(data).size == 64


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
