"""The out-of-distribution files: what is missing, truncated, altered or another array is found before anything is predicted."""

import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from orchestrator import plugins
from orchestrator.errors import BadData, MissingInput
from orchestrator.submission.out_of_distribution import CHALLENGE, OutOfDistribution, check_files, map_images

SMALL = OutOfDistribution(files=3, severities=2, images=5, height=4, width=3, channels=3, source="somewhere.example")


def images(file: int) -> Any:
    return np.random.default_rng(file).integers(0, 256, SMALL.shape, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for file in range(SMALL.files):
        np.save(tmp_path / SMALL.file_name(file), images(file))
    return tmp_path


def test_the_challenge_as_published() -> None:
    assert CHALLENGE.file_bytes == 153_600_128
    assert CHALLENGE.shape == (50_000, 32, 32, 3)
    assert [CHALLENGE.file_name(0), CHALLENGE.file_name(18)] == ["distortion00.npy", "distortion18.npy"]
    assert len(set(CHALLENGE.sha256)) == 19
    assert {len(digest) for digest in CHALLENGE.sha256} == {64}
    ids = CHALLENGE.ids()
    assert len(set(ids)) == 950_000
    assert [ids[0], ids[9_999], ids[10_000], ids[-1]] == [
        "distortion00_1_0",
        "distortion00_1_9999",
        "distortion00_2_0",
        "distortion18_5_9999",
    ]


def test_right_files_are_mapped_channels_first(folder: Path) -> None:
    files = check_files(folder, SMALL)
    assert (files.present, files.missing) == ((0, 1, 2), ())
    for file in files.present:
        assert np.array_equal(map_images(files, file), images(file).transpose(0, 3, 1, 2))


def test_missing_files_are_all_named_with_both_ways_on(folder: Path) -> None:
    (folder / "distortion00.npy").unlink()
    (folder / "distortion02.npy").rename(folder / "distortion2.npy")
    with pytest.raises(
        MissingInput, match=r"2 of 3 .*: distortion00.npy, distortion02.npy; .*somewhere.example, or use --partial"
    ):
        check_files(folder, SMALL)
    files = check_files(folder, SMALL, partial=True)
    assert (files.present, files.missing) == ((1,), ("distortion00.npy", "distortion02.npy"))


@pytest.mark.parametrize("partial", [False, True])
def test_with_no_file_at_all_partial_is_no_way_on(tmp_path: Path, partial: bool) -> None:
    with pytest.raises(MissingInput, match=r"3 of 3 files are missing in .*absent") as caught:
        check_files(tmp_path / "absent", SMALL, partial=partial)
    assert "--partial" not in str(caught.value)


@pytest.mark.parametrize("change", [lambda whole: whole[:-1], lambda whole: whole + b"\0", lambda whole: b""])
@pytest.mark.parametrize("partial", [False, True])
def test_another_size_is_refused_naming_both(folder: Path, change: Any, partial: bool) -> None:
    path = folder / "distortion01.npy"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(BadData, match=rf"distortion01.npy is truncated .*expected 488 bytes, found {path.stat().st_size}"):
        check_files(folder, SMALL, partial=partial)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((10, 36), np.uint8), r"'\|u1', .*\(10, 36\)"),
        (np.zeros((10, 3, 4, 3), np.uint8), r"\(10, 3, 4, 3\)"),
        (np.zeros(SMALL.shape, np.int8), r"'\|i1'"),
        (np.zeros((10, 4, 3, 3), np.uint8, order="F"), "'fortran_order': True"),
        (np.zeros((5, 4, 3, 3), np.uint16), "'<u2'"),
    ],
)
def test_another_array_of_the_same_size_is_refused(folder: Path, array: Any, found: str) -> None:
    np.save(folder / "distortion01.npy", array)
    with pytest.raises(
        BadData, match=rf"distortion01.npy holds .*expected .*'\|u1', .*False, .*\(10, 4, 3, 3\).*found .*{found}"
    ):
        check_files(folder, SMALL)


def test_pickled_objects_are_never_loaded(folder: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": SMALL.shape})
    (folder / "distortion01.npy").write_bytes(header.getvalue().ljust(SMALL.file_bytes, b"."))
    with pytest.raises(BadData, match=r"found .*'\|O'"):
        check_files(folder, SMALL)


def test_a_file_that_is_no_array_or_of_another_version_is_refused(folder: Path) -> None:
    path = folder / "distortion01.npy"
    whole = path.read_bytes()
    for content, message in [(b"P" * len(whole), r"found b'PPPP"), (whole[:6] + b"\x02" + whole[7:], r"found b'.*NUMPY.*02")]:
        path.write_bytes(content)
        with pytest.raises(BadData, match=message):
            check_files(folder, SMALL)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 127), replaced=st.binary(min_size=1, max_size=40))
def test_no_header_is_believed_or_crashes(folder: Path, position: int, replaced: bytes) -> None:
    path = folder / "distortion01.npy"
    np.save(path, images(1))
    untouched = path.read_bytes()
    whole = bytearray(untouched)
    whole[position : position + len(replaced)] = replaced
    path.write_bytes(whole[: SMALL.file_bytes])
    # NumPy ignores every white space of Python after the dictionary, the separator characters too: such a header says the same.
    if path.read_bytes()[:128].decode("latin1").strip() == untouched[:128].decode("latin1").strip():
        assert check_files(folder, SMALL).present == (0, 1, 2)
    else:
        with pytest.raises(BadData, match=str(path)):
            check_files(folder, SMALL)


def test_a_flipped_byte_is_found_when_verified(folder: Path) -> None:
    digests = tuple(hashlib.sha256((folder / SMALL.file_name(file)).read_bytes()).hexdigest() for file in range(3))
    geometry = replace(SMALL, sha256=digests)
    assert check_files(folder, geometry, verify=True).present == (0, 1, 2)
    path = folder / "distortion01.npy"
    damaged = bytearray(path.read_bytes())
    damaged[300] ^= 1
    path.write_bytes(damaged)
    assert check_files(folder, geometry).present == (0, 1, 2)
    with pytest.raises(BadData, match=rf"distortion01.npy is damaged: expected the sha256 {digests[1]}, found"):
        check_files(folder, geometry, verify=True)


@pytest.mark.slow
def test_a_published_file_made_again_from_the_real_test_images_is_accepted(cifar100_folder: Path, tmp_path: Path) -> None:
    """File 13 is the test images made smaller and larger again; so published sizes, header, order and checksum are right."""
    test_images = plugins.dataset("cifar100").load(cifar100_folder, "test").images.transpose(0, 2, 3, 1)
    pixelated = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(image))
            .resize((size, size), Image.Resampling.BOX)
            .resize((32, 32), Image.Resampling.BOX)
        )
        for size in (30, 28, 27, 24, 20)
        for image in test_images
    ]
    np.save(tmp_path / "distortion13.npy", np.stack(pixelated))
    files = check_files(tmp_path, CHALLENGE, partial=True, verify=True)
    assert files.present == (13,)


def test_checksums_must_be_known_to_verify_and_as_many_as_files(folder: Path) -> None:
    with pytest.raises(ValueError, match="no checksums"):
        check_files(folder, SMALL, verify=True)
    with pytest.raises(ValueError, match="3 files need 3 checksums, not 1"):
        replace(SMALL, sha256=("0" * 64,))
