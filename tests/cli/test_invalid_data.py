"""Data files that are missing, damaged or of another shape."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orchestrator.submission.out_of_distribution import CHALLENGE
from tests.cli.studies import Refuse
from tests.helpers.in_process_cli import call, content, refused


def on_cifar100(tmp_path: Path, data: Path) -> list[str]:
    return [
        "study",
        "curves",
        "--dataset",
        "cifar100",
        "--trials",
        "2",
        "--runs",
        str(tmp_path / "runs"),
        "--data-dir",
        str(data),
    ]


def test_missing_data_names_the_file_and_both_ways_to_get_it(
    refuse: Refuse, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    ways = (str(data / "cifar-100-python" / "train"), f"orchestrate data fetch cifar100 --data-dir {data}", "By hand: download")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no proxy listens there: no network
    result = call(capsys, *on_cifar100(tmp_path, data))
    announced, error = result.messages.splitlines()
    assert (result.code, result.output, announced) == (66, "", f"cifar100 is not in {data}: fetching it, once")
    assert all(way in error for way in (*ways, "Tried just now: cannot download"))
    assert not (tmp_path / "runs").exists()
    refuse(66, "data", "verify", "cifar100", "--data-dir", data, says=ways)


def test_a_data_file_that_is_another_one(refuse: Refuse, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "cifar-100-python"
    folder.mkdir(parents=True)
    for name in ("train", "test", "meta"):
        (folder / name).write_bytes(b"not a pickle")
    says = (str(folder / "train"), "truncated or altered", "orchestrate data fetch cifar100", "By hand: download")
    refuse(65, *on_cifar100(tmp_path, tmp_path / "data"), says=says)
    refuse(65, "data", "verify", "cifar100", "--data-dir", tmp_path / "data", says=says)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_the_real_data_with_one_byte_wrong(
    damage: str, cifar100_folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "cifar-100-python"
    folder.mkdir(parents=True)
    for name in ("train", "meta"):
        (folder / name).symlink_to(cifar100_folder / "cifar-100-python" / name)
    test = bytearray((cifar100_folder / "cifar-100-python" / "test").read_bytes())
    if damage == "truncated":
        del test[-1]
    else:
        test[len(test) // 2] ^= 1
    (folder / "test").write_bytes(test)
    refused(capsys, 65, *on_cifar100(tmp_path, tmp_path / "data"), says=(str(folder / "test"), "truncated or altered"))
    assert not (tmp_path / "runs" / "curves-cifar100").exists()


def write_header(path: Path, header: bytes) -> None:
    """A file of the right size, whose content is a hole, after numpy's magic words and this header."""
    with path.open("wb") as stream:
        stream.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.ljust(117) + b"\n")
        stream.truncate(CHALLENGE.file_bytes)


RIGHT_HEADER = b"{'descr': '|u1', 'fortran_order': False, 'shape': (50000, 32, 32, 3), }"
WRONG_ARRAYS: dict[str, tuple[Callable[[Path], object], str]] = {
    "small": (lambda path: np.save(path, np.zeros((10, 32, 32, 3), np.uint8)), "expected 153,600,128 bytes, found 30,848"),
    "pickled": (lambda path: np.save(path, np.array([{"a": 1}]), allow_pickle=True), "expected 153,600,128 bytes"),
    "empty": (lambda path: path.write_bytes(b""), "found 0"),
    "channels first": (lambda path: write_header(path, RIGHT_HEADER.replace(b"32, 32, 3", b"3, 32, 32")), "(50000, 3, 32, 32)"),
    "floats": (lambda path: write_header(path, RIGHT_HEADER.replace(b"|u1", b"<f8")), "'<f8'"),
    "objects": (lambda path: write_header(path, RIGHT_HEADER.replace(b"|u1", b"|O")), "'|O'"),
    "zeros": (lambda path: write_header(path, RIGHT_HEADER), "sha256"),
}


@pytest.mark.parametrize("wrong", sorted(WRONG_ARRAYS))
def test_an_array_that_is_not_the_challenges(wrong: str, cifar100_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write, says = WRONG_ARRAYS[wrong]
    folder = cifar100_runs.parent / "ood"
    folder.mkdir()
    for number in range(CHALLENGE.files):
        write(folder / CHALLENGE.file_name(number))
    before = content(cifar100_runs)
    words = ("submit", "--runs", cifar100_runs, "--ood-dir", folder)
    refused(capsys, 65, *words, says=(str(folder / "distortion00.npy"), says))
    assert content(cifar100_runs) == before


def test_missing_arrays_are_named_unless_partial_is_asked_for(cifar100_runs: Path, refuse: Refuse, tmp_path: Path) -> None:
    folder = tmp_path / "ood"
    folder.mkdir()
    words = ("submit", "--runs", cifar100_runs, "--ood-dir", folder)
    refuse(66, *words, "--partial", says=("19 of 19 files are missing", str(folder)))
    (folder / "distortion07.npy").write_bytes(b"")
    refuse(66, *words, says=("18 of 19 files are missing", "distortion00.npy", "distortion18.npy", "--partial"))
    refuse(65, *words, "--partial", says=("distortion07.npy",))
    refuse(66, "submit", "--runs", cifar100_runs, "--ood-dir", tmp_path / "nowhere", says=("19 of 19", "nowhere"))
