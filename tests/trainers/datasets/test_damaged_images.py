"""A damaged image is named, whatever a decoder does with it, and is left out where the user asks for it."""

import io
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.features
import PIL.Image
import pytest

from orchestrator import plugins
from orchestrator.errors import BadData, OrchestrateError
from tests.helpers.image_folders import decoded_folders
from tests.helpers.in_process_cli import refused
from trainers.datasets import _decoders
from trainers.datasets._decoding import Decoded, decoding

needs_webp = pytest.mark.skipif(not PIL.features.check("webp"), reason="the Pillow that is installed cannot write WebP")

# A decoder that does as the middle pixel of a PNG file says. It imports nothing, so that it begins at once.
FAKE = """
import os, signal, struct, sys, time, zlib

def read(size):
    content = b""
    while len(content) < size:
        part = os.read(0, size - len(content))
        if not part:
            sys.exit()
        content += part
    return content

os.write(1, b"ready")
while True:
    size, side, orientation = struct.unpack("<IIB", read(9))
    content = read(size)
    start = content.index(b"IDAT") + 4
    what = zlib.decompress(content[start:])[1]
    if what == 1:
        os.write(2, b"libpng error: bad adaptive filter value\\n")
        os.abort()
    if what == 2:
        time.sleep(60)
    if what == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if what == 4:
        sys.exit(3)
    if what == 5:
        sys.exit()
    text = b"iCCP: known incorrect sRGB profile" if what == 6 else b""
    os.write(1, struct.pack("<BII", 2 if what == 7 else 0, len(text), 3 * side * side) + text + bytes([what]) * 3 * side * side)
    if what == 8:
        sys.exit()
"""


@pytest.fixture
def decode(tmp_path: Path) -> Iterator[Callable[[Sequence[bytes]], Decoded]]:
    """Decodes what files hold."""
    with decoding(8, 1) as decoded:

        def decode(contents: Sequence[bytes]) -> Decoded:
            files = [tmp_path / str(number) for number in range(len(contents))]
            for file, content in zip(files, contents, strict=True):
                file.write_bytes(content)
            return decoded(files)

        yield decode


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The decoder above, in the place of the real one."""
    (tmp_path / "fake.py").write_text(FAKE)
    monkeypatch.setattr(_decoders, "PROGRAM", tmp_path / "fake.py")
    spare: list[_decoders.Decoder] = []
    monkeypatch.setattr(_decoders, "_spare", spare)
    yield
    for decoder in spare:
        decoder.close()


def encoded(kind: str, size: int = 24, **options: Any) -> bytes:
    """A picture with much detail."""
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def told(pixel: int) -> bytes:
    """A sound PNG file of one grey pixel."""
    stream = io.BytesIO()
    PIL.Image.fromarray(np.full((1, 1), pixel, dtype=np.uint8)).save(stream, "png")
    return stream.getvalue()


def folder_of(root: Path, special: dict[str, bytes], images: int = 12) -> Path:
    """Two classes of sound pictures, and special files."""
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(images):
            (root / name / f"{number:02d}.png").write_bytes(told(100 + number))
    for name, content in special.items():
        (root / name).write_bytes(content)
    return root


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_any_wrong_byte_of_a_png_is_found(decode: Callable[[Sequence[bytes]], Decoded]) -> None:
    content = encoded("png")
    found = decode([flipped(content, position) for position in range(0, len(content), 19)])
    assert len(found.damaged) == len(range(0, len(content), 19)) > 90
    assert found.images.shape == (0, 3, 8, 8)


def test_one_wrong_byte_of_a_png_is_refused_by_name(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = encoded("png")
    root = folder_of(tmp_path / "photos", {"cat/03.png": flipped(content, len(content) // 2)})
    says = (f"{root}/cat/03.png is damaged or cannot be decoded (the checksum", "repair it or remove it")
    for _ in range(2):
        refused(capsys, 65, "data", "verify", f"folder:{root}", "--data-dir", data, says=says)
        assert decoded_folders(data) == []  # nothing is left half done
    study = ("study", "part1", "--trials", "1", "--mirror", "off", "--runs", tmp_path / "runs")
    refused(capsys, 65, *study, "--dataset", f"folder:{root}", "--data-dir", data, says=says)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_what_a_decoder_of_jpeg_warns_of_is_damage(options: dict[str, Any], decode: Callable[[Sequence[bytes]], Decoded]) -> None:
    slope = np.linspace(0, 255, 64)
    stream = io.BytesIO()
    PIL.Image.fromarray((np.add.outer(slope, slope) / 2).astype(np.uint8)).save(stream, "jpeg", **options)
    content = stream.getvalue()
    found = decode([flipped(content, position) for position in range(200, len(content), 3)])
    assert sum("Corrupt JPEG data" in why for why in found.damaged.values()) > 10
    cut = [content[: len(content) * 2 // 3], content[: len(content) * 2 // 3] + b"\xff\xd9"]
    sound = [content, content[:-2] + bytes(9) + b"\xff\xd9"]  # bytes before the end are only superfluous
    assert len(decode([*cut, *sound]).damaged) == 2


@needs_webp
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\0\0II*\0" + bytes(40)}])
def test_a_webp_that_is_cut_or_claims_another_length_is_damage(
    options: dict[str, Any], decode: Callable[[Sequence[bytes]], Decoded]
) -> None:
    content = encoded("webp", **options)
    cut = [content[: len(content) * part // 8] for part in range(2, 8)]
    longer = content[:4] + struct.pack("<I", len(content) + 100) + content[8:]
    last = content[:16] + struct.pack("<I", 1 << 30) + content[20:]
    assert len(decode([*cut, longer, last]).damaged) == 8
    assert not decode([content, content + b"more"]).damaged


def test_harmless_remarks_are_no_damage(decode: Callable[[Sequence[bytes]], Decoded]) -> None:
    png, jpeg = encoded("png"), encoded("jpeg")
    profile = chunk(b"iCCP", b"name\0\0" + zlib.compress(b"no profile"))
    harmless = [
        png[:33] + profile + png[33:],
        png[:33] + chunk(b"gAMA", bytes(4)) + png[33:],
        png[:33] + chunk(b"tEXt", b"\0" * 90) + png[33:],
        png + b"what follows",
        jpeg[:2] + b"\xff\xfe\x00\x03x" + jpeg[2:],
        jpeg + b"\0" * 50,
    ]
    assert decode(harmless).damaged == {}


@pytest.mark.slow  # two processes that import torch
def test_a_sound_png_with_wrong_content_costs_one_process(decode: Callable[[Sequence[bytes]], Decoded]) -> None:
    """Its checksums are right, and libpng meets what ends the process."""
    png = encoded("png")
    header, start = png[:33], png.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", png[start - 8 : start - 4])
    wrong = header + chunk(b"IDAT", flipped(png[start : start + length], length // 2)) + chunk(b"IEND", b"")
    found = decode([png, wrong, png])
    assert [file.name for file in found.damaged] == ["1"]
    assert len(found.images) == 2


@pytest.mark.parametrize(
    ("pixel", "says"),
    [
        (1, r"its decoder crashed with signal 6: libpng error: bad adaptive filter value"),
        (2, r"its decoder did not end within 0 s"),
        (4, r"its decoder crashed with exit code 3"),
        (5, r"its decoder ended without an answer"),
    ],
)
def test_a_decoder_that_crashes_or_hangs_is_survived(
    pixel: int, says: str, fake: None, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_decoders, "SECONDS_TO_DECODE", 0.4)
    root = folder_of(tmp_path / "photos", {"cat/03.png": told(pixel), "dog/04.png": told(pixel)})
    with pytest.raises(BadData, match=f"(?s)2 files of .*photos cannot be used.*cat/03.png .*{says}.*dog/04.png .*{says}"):
        plugins.dataset(f"folder:{root}").check(data)
    dataset = plugins.dataset(f"folder:{root}?damaged=skip")
    assert len(dataset.load(data, "train").images) + len(dataset.load(data, "test").images) == 22
    assert dataset.info(data).skipped_images == 2


@pytest.mark.parametrize(("pixel", "says"), [(3, "was ended by signal 9: is there enough memory"), (7, "not enough memory")])
def test_a_decoder_without_memory_is_no_damage(pixel: int, says: str, fake: None, tmp_path: Path, data: Path) -> None:
    root = folder_of(tmp_path / "photos", {"cat/03.png": told(pixel)})
    with pytest.raises(OrchestrateError, match=says) as refusal:
        plugins.dataset(f"folder:{root}?damaged=skip").check(data)
    assert refusal.value.exit_code == 1
    assert decoded_folders(data) == []


def test_a_decoder_that_was_idle_for_long_is_replaced(fake: None, tmp_path: Path, data: Path) -> None:
    root = folder_of(tmp_path / "photos", {"cat/03.png": told(8), "cat/04.png": told(6)})
    assert plugins.dataset(f"folder:{root}").info(data).classes == 2


def test_a_decoder_that_is_killed_while_it_idles_is_replaced(fake: None, tmp_path: Path, data: Path) -> None:
    for name in ("photos", "others"):
        root = folder_of(tmp_path / name, {"cat/03.png": told(8)})
        assert plugins.dataset(f"folder:{root}").info(data).classes == 2
        for decoder in _decoders._spare:
            decoder.kill()  # as the system does where memory is short
            if decoder._process is not None:
                decoder._process.wait()


def test_a_decoder_that_cannot_begin_says_why(fake: None, tmp_path: Path, data: Path) -> None:
    (tmp_path / "fake.py").write_text("import no_such_module")
    root = folder_of(tmp_path / "photos", {})
    with pytest.raises(OrchestrateError, match="torchvision cannot be loaded: ModuleNotFoundError: No module named 'no_such_mod"):
        plugins.dataset(f"folder:{root}").check(data)


def test_all_damaged_files_are_named_at_once(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    png, jpeg = encoded("png"), encoded("jpeg")
    special = {
        "cat/00.png": flipped(png, 200),
        "cat/x.jpg": jpeg[: len(jpeg) // 2],
        "dog/x.bmp": b"BM",
        "dog/empty.webp": b"",
        "dog/large.png": png[:16] + struct.pack(">II", 60_000, 60_000) + png[24:],
    }
    root = folder_of(tmp_path / "photos", special)
    message = refused(capsys, 65, "data", "verify", f"folder:{root}", "--data-dir", data)
    assert message.startswith(f"error: 5 files of {root} cannot be used: repair or remove them, or leave them out with")
    assert {line.split()[0] for line in message.splitlines()[1:]} == set(special)
    reasons = {"dog/x.bmp": "is of a format", "dog/large.png": "claims 60000×60000 pixels", "cat/x.jpg": "is damaged"}
    for name, says in reasons.items():
        assert re.search(rf"^  {name} {says}", message, re.MULTILINE)


def test_a_file_of_another_format_is_refused_after_the_others_were_read(tmp_path: Path, data: Path) -> None:
    root = folder_of(tmp_path / "photos", {})
    dataset = plugins.dataset(f"folder:{root}")
    dataset.check(data)
    (root / "cat" / "x.bmp").write_bytes(b"BM")
    for use in (dataset.check, dataset.info, lambda folder: dataset.load(folder, "test")):
        with pytest.raises(BadData, match=r"cat/x\.bmp is of a format that cannot be read"):
            use(data)
    assert plugins.dataset(f"folder:{root}?damaged=skip").info(data).skipped_images == 1


def test_too_few_sound_images_of_a_class_are_refused_also_with_skip(tmp_path: Path, data: Path) -> None:
    root = folder_of(tmp_path / "photos", {f"cat/{number:02d}.png": b"x" for number in range(9)})
    with pytest.raises(
        BadData, match=r"the class 'cat' has . images to train on and . for the test; .*; 9 damaged files left out"
    ):
        plugins.dataset(f"folder:{root}?damaged=skip").check(data)


def test_an_unreadable_file_is_never_left_out(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder_of(tmp_path / "photos", {})
    real = Path.read_bytes

    def read_bytes(file: Path) -> bytes:
        if file.name == "03.png":
            raise OSError(5, "Input/output error", str(file))
        return real(file)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(OrchestrateError, match=r"cannot read .*03\.png: Input/output error") as refusal:
        plugins.dataset(f"folder:{root}?damaged=skip").check(data)
    assert refusal.value.exit_code == 74
    assert decoded_folders(data) == []


def test_a_name_that_is_no_utf8_may_be_damaged(tmp_path: Path, data: Path) -> None:
    root = folder_of(tmp_path / "photos", {})
    Path(os.fsdecode(os.fsencode(root) + b"/cat/\xff.png")).write_bytes(b"x")
    dataset = plugins.dataset(f"folder:{root}?damaged=skip")
    assert dataset.names.left_out is not None
    assert dict(dataset.names.left_out(data).damaged) == {"cat/\\udcff.png": "is no PNG, JPEG or WebP image, or it is damaged"}
