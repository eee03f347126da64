"""A checkpoint is either whole or refused: damage, foreign files, payloads, a full disk and kills."""

import collections
import hashlib
import io
import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.errors import BadData, DiskError, MissingInput
from orchestrator.storage import checkpoint


def state() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(7)
    return {
        "model": collections.OrderedDict(weight=torch.randn(5, 3, generator=generator), steps=torch.tensor(12)),
        "random": generator.get_state(),
        "epoch": 3,
        "rates": [0.1, float("inf"), (1, "two", None, True, b"3")],
    }


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, item in expected.items():
            assert_same(found[key], item)
    elif isinstance(expected, list | tuple):
        assert type(found) is type(expected)
        for left, right in zip(found, expected, strict=True):
            assert_same(left, right)
    else:
        assert type(found) is type(expected)
        assert found == expected


def signed(body: bytes) -> bytes:
    """A foreign archive, made to carry the right digest."""
    protected = body[:-2] + (71).to_bytes(2, "little") + b"sha256:"
    return protected + hashlib.sha256(protected).hexdigest().encode()


def test_state_comes_back_exactly_and_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    digest = checkpoint.write(path, state())
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert_same(checkpoint.read(path), state())
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_writing_again_replaces(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    checkpoint.write(path, state())
    checkpoint.write(path, {"epoch": 4})
    assert checkpoint.read(path) == {"epoch": 4}


@pytest.mark.parametrize("mapped", [False, True])
def test_plain_torch_and_zip_tools_still_read_it(tmp_path: Path, mapped: bool) -> None:
    path = tmp_path / "best.pt"
    checkpoint.write(path, state())
    assert_same(torch.load(path, weights_only=True, mmap=mapped), state())
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b"sha256:")


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    checkpoint.write(path, state())
    whole = path.read_bytes()
    chosen = random.Random(0)
    ending = range(len(whole) - 93, len(whole))  # the archive's last record, with the comment and its length
    for position in [*chosen.sample(range(len(whole)), 200), *ending]:
        damaged = bytearray(whole)
        damaged[position] ^= chosen.choice([1 << bit for bit in range(8)])
        path.write_bytes(damaged)
        with pytest.raises(BadData, match="damaged"):
            checkpoint.read(path)


def test_every_truncation_and_addition_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    checkpoint.write(path, state())
    whole = path.read_bytes()
    lengths = [*range(130), *random.Random(1).sample(range(len(whole)), 100), *range(len(whole) - 130, len(whole))]
    for content in [*(whole[:length] for length in lengths), whole + b"\0", whole + whole, b"\0" + whole]:
        path.write_bytes(content)
        with pytest.raises(BadData, match="damaged"):
            checkpoint.read(path)


def test_a_file_that_another_program_wrote_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save(state(), path)
    with pytest.raises(BadData, match="no checkpoint of this project"):
        checkpoint.read(path)


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.marker),))


def test_a_payload_is_refused_and_not_executed(tmp_path: Path) -> None:
    path, marker = tmp_path / "last.pt", tmp_path / "executed"
    archive = io.BytesIO()
    torch.save({"model": Payload(marker)}, archive)
    plain_pickle = pickle.dumps(Payload(marker), protocol=2)
    for content in (signed(archive.getvalue()), plain_pickle, signed(plain_pickle)):
        path.write_bytes(content)
        with pytest.raises(BadData, match=str(path)):
            checkpoint.read(path)
    assert not marker.exists()


def test_a_sound_archive_that_holds_no_dict_is_refused(tmp_path: Path) -> None:
    archive = io.BytesIO()
    torch.save([1, 2], archive)
    (tmp_path / "last.pt").write_bytes(signed(archive.getvalue()))
    with pytest.raises(BadData, match="list"):
        checkpoint.read(tmp_path / "last.pt")


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (np.float64(0.1), r"\['lr'\] is a numpy.float64"),
        ([Path("x")], r"\['lr'\]\[0\] is a pathlib"),
        ({1: {2}}, r"\[1\] is a builtins.set"),
    ],
)
def test_what_could_not_be_read_back_is_refused_when_written(tmp_path: Path, value: object, where: str) -> None:
    with pytest.raises(TypeError, match=where):
        checkpoint.write(tmp_path / "last.pt", {"lr": value})
    assert not list(tmp_path.iterdir())


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"no checkpoint .*last\.pt"):
        checkpoint.read(tmp_path / "last.pt")
    with pytest.raises(DiskError, match="cannot read"):
        checkpoint.read(tmp_path)
    with pytest.raises(DiskError, match="cannot write"):
        checkpoint.write(tmp_path / "absent" / "last.pt", {"epoch": 1})


def test_a_full_disk_and_a_kill_leave_the_old_checkpoint(tmp_path: Path) -> None:
    child = textwrap.dedent("""
        import os, resource, signal, sys
        from pathlib import Path
        import torch
        from orchestrator.storage import checkpoint
        from orchestrator.errors import DiskError

        full, killed = Path(sys.argv[1]), Path(sys.argv[2])
        for path in (full, killed):
            checkpoint.write(path, {"epoch": 1, "weight": torch.ones(1000)})
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
        try:
            checkpoint.write(full, {"epoch": 2, "weight": torch.zeros(100_000)})
        except DiskError as error:
            print(error, flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
        checkpoint.write(killed, {"epoch": 2, "weight": torch.zeros(1000)})
    """)
    full, killed = tmp_path / "full.pt", tmp_path / "killed.pt"
    done = subprocess.run([sys.executable, "-c", child, full, killed], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert f"cannot write {full}" in done.stdout
    assert (tmp_path / "killed.pt.part").exists()
    assert not (tmp_path / "full.pt.part").exists()
    for path in (full, killed):
        found = checkpoint.read(path)
        assert found["epoch"] == 1
        assert torch.equal(found["weight"], torch.ones(1000))
    checkpoint.write(killed, {"epoch": 2})
    assert checkpoint.read(killed) == {"epoch": 2}
