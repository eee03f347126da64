"""Image files of every kind become square RGB images of one size."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.features
import PIL.Image
import pytest
import torch

from orchestrator import plugins
from tests.helpers.image_folders import digit_images, enlarged, write
from trainers.datasets._image_structure import dimensions


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
