"""Folders of images in which one is damaged: it is named, whatever it does to a decoder. Sound ones of any kind are read."""

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.features
import PIL.Image
import pytest
from hypothesis import strategies as st

from tests.generated_inputs.amounts import amounts, for_all
from tests.generated_inputs.mutations import changed_bytes, changed_json
from tests.generated_inputs.verdict import DATA, holding, judged
from tests.helpers.image_folders import decoded_folders

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 4), dtype=np.uint8)
ORIENTED = PIL.Image.Exif()
ORIENTED[0x0112] = 6


def encoded(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    stream = io.BytesIO()
    PIL.Image.fromarray(PIXELS).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


SOUND: dict[str, bytes] = {
    "plain.png": encoded("png"),
    "grey.png": encoded("png", "L"),
    "two colours.png": encoded("png", "1"),
    "palette.png": encoded("png", "P"),
    "transparent.png": encoded("png", "RGBA"),
    "grey and transparent.png": encoded("png", "LA"),
    "turned.png": encoded("png", exif=ORIENTED),
    "not compressed.png": encoded("png", compress_level=0),
    "plain.jpg": encoded("jpeg", quality=90),
    "grey.jpeg": encoded("jpeg", "L"),
    "four inks.jpg": encoded("jpeg", "CMYK"),
    "progressive.JPG": encoded("jpeg", progressive=True),
    "turned.jfif": encoded("jpeg", exif=ORIENTED),
    "with a remark.jpe": encoded("jpeg", comment=b"a remark"),
}
if PIL.features.check("webp"):
    SOUND |= {
        "plain.webp": encoded("webp"),
        "lossless.webp": encoded("webp", lossless=True),
        "transparent.webp": encoded("webp", "RGBA"),
        "turned.webp": encoded("webp", exif=ORIENTED),
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes, with as many sound images as they need."""
    for folder, count in (("train/cat", 4), ("train/dog", 4), ("test/cat", 1), ("test/dog", 1)):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for number in range(count):
            (tmp_path / "photos" / folder / f"{number}.png").write_bytes(encoded("png", "L", compress_level=number))
    return tmp_path / "photos"


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    found, position = [], 8
    while position < len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        found.append((kind, png[position + 8 : position + 8 + length]))
        position += 12 + length
    return found


def assembled(parts: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, content) for kind, content in parts)


@st.composite
def headed(draw: st.DrawFn) -> bytes:
    """A PNG with right checksums and another header, other chunks, or chunks in another order."""
    parts = chunks(SOUND[draw(st.sampled_from([name for name in SOUND if name.endswith(".png")]))])
    at = draw(st.integers(0, len(parts) - 1))
    match draw(st.integers(0, 4)):
        case 0:
            del parts[at]
        case 1:
            parts.insert(at, parts[draw(st.integers(0, len(parts) - 1))])
        case 2:
            parts.append(parts.pop(at))
        case 3:
            parts.insert(
                at,
                (
                    draw(st.sampled_from((b"tEXt", b"iCCP", b"PLTE", b"tRNS", b"eXIf", b"ABCD", b"\0\0\0\0"))),
                    draw(st.binary(max_size=40)),
                ),
            )
        case _:
            sizes = [draw(st.sampled_from((0, 1, 12, 16, 2**16, 2**31 - 1, 2**31, 2**32 - 1))) for _ in range(2)]
            parts[0] = (
                b"IHDR",
                struct.pack(">II", *sizes) + bytes(draw(st.sampled_from((0, 1, 2, 3, 4, 6, 8, 16, 255))) for _ in range(5)),
            )
    return assembled(parts)


damaged = st.sampled_from(sorted(SOUND)).flatmap(lambda name: st.tuples(st.just(name), changed_bytes(SOUND[name])))


def verify(root: Path, *more: str) -> tuple[str | Path, ...]:
    return ("data", "verify", f"folder:{root}?size=8", "--data-dir", root.parent / "data", *more)


def check_image(capsys: pytest.CaptureFixture[str], root: Path, name: str, content: bytes) -> None:
    """The folder is read, or refused with the name of this image; then it is read without it."""
    with holding(root / "train" / "cat" / name, content):
        result = judged(capsys, root, (0, DATA), *verify(root), names=(f"{root}/train/cat/{name}",))
        if result.code:
            assert decoded_folders(root.parent / "data") == []  # nothing is left half done
            skipped = judged(capsys, root, (0,), *verify(root, "--skip-damaged"))
            assert "left out: 1 damaged file" in skipped.messages
            assert f"train/cat/{name}" in skipped.messages
        clear(root.parent / "data")


def clear(data: Path) -> None:
    """Nothing is known of the images any more."""
    for folder in decoded_folders(data):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


@amounts(6, 100)
def test_a_damaged_image_is_named(examples: int, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for_all(damaged, lambda found: check_image(capsys, root, *found), examples)


@amounts(0, 12)
def test_a_png_with_right_checksums_and_another_structure_is_named(
    examples: int, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for_all(headed(), lambda content: check_image(capsys, root, "odd.png", content), examples)


@amounts(0, 2)
def test_a_png_with_right_checksums_and_wrong_content_is_named(
    examples: int, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each may cost the process of a decoder, and another one has to import torch."""

    @st.composite
    def wrong(draw: st.DrawFn) -> bytes:
        parts = chunks(SOUND["plain.png"])
        return assembled([(kind, draw(changed_bytes(content)) if kind == b"IDAT" else content) for kind, content in parts])

    for_all(wrong(), lambda content: check_image(capsys, root, "odd.png", content), examples)


@st.composite
def unusual(draw: st.DrawFn) -> tuple[str, bytes]:
    """A sound image, perhaps under the name of another kind, and with what decoders pass over."""
    content = SOUND[draw(st.sampled_from(sorted(SOUND)))]
    if content.startswith(b"\x89PNG"):
        parts = chunks(content)
        more = draw(st.sampled_from((b"", b"what follows", b"\0" * 40)))
        parts[1:1] = draw(st.sampled_from(([], [(b"tEXt", b"key\0text")], [(b"prIV", b"\xff" * 9)])))
        content = assembled(parts) + more
    ending = draw(st.sampled_from(("png", "jpg", "JPEG", "webp", "PNG", "jfif")))
    return f"{draw(st.sampled_from(('a', 'é', 'a b', '=1', '-x', '%41')))}.{ending}", content


@amounts(3, 40)
def test_a_sound_image_of_any_kind_is_read(examples: int, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def check(found: tuple[str, bytes]) -> None:
        name, content = found
        with holding(root / "train" / "dog" / name, content):
            result = judged(capsys, root, (0,), *verify(root))
            assert "complete and verified" in result.messages
            clear(root.parent / "data")

    for_all(unusual(), check, examples)


@pytest.mark.parametrize("name", ["facts.json", "train.npy", "test.npy"])
@amounts(3, 25)
def test_what_is_kept_of_a_folder_is_made_again_where_it_is_damaged(
    name: str, examples: int, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = root.parent / "data"
    printed = judged(capsys, root, (0,), *verify(root)).messages
    (kept,) = decoded_folders(data)
    sound = {file.name: file.read_bytes() for file in kept.iterdir()}
    facts: dict[str, Any] = json.loads(sound["facts.json"])
    generated = changed_json(facts) if name == "facts.json" else changed_bytes(sound[name])

    def check(content: bytes) -> None:
        (kept / name).write_bytes(content)
        assert judged(capsys, root, (0,), *verify(root)).messages == printed
        assert json.loads((kept / "facts.json").read_bytes()) == facts
        for part in ("train.npy", "test.npy"):
            assert (kept / part).read_bytes() == sound[part]
        (kept / "facts.json").write_bytes(sound["facts.json"])

    for_all(generated, check, examples)
