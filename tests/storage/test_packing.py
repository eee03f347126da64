"""An archive is complete under its name, or not there."""

import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import BadData, DiskError, OrchestrateError
from orchestrator.storage import packing
from orchestrator.storage.packing import pack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what a study may have, and names that not every format can hold."""
    folder = tmp_path / "runs" / "study"
    (folder / "trials" / "0000").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "study.json").write_text("{}")
    (folder / "study.lock").write_text("held")
    (folder / "trials" / "0000" / "best.pt").write_bytes(os.urandom(100_000))
    (folder / "trials" / "0000" / ("é中 \n" + "n" * 150)).touch()
    (folder / "latest").symlink_to("trials/0000")
    return folder


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir())


def test_it_is_restored_with_tar_and_only_what_was_left_out_is_missing(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "study.tar.gz", without=("study.lock", "trials/0000/no such file"))
    assert left(tmp_path) == ["runs", "study.tar.gz"]
    (tmp_path / "restored").mkdir()
    subprocess.run(["tar", "-xzf", tmp_path / "study.tar.gz", "-C", tmp_path / "restored"], check=True)
    compared = subprocess.run(
        ["diff", "-r", folder, tmp_path / "restored" / "study"], check=False, capture_output=True, text=True
    )
    assert compared.stdout == f"Only in {folder}: study.lock\n"
    assert (tmp_path / "restored" / "study" / "latest").readlink() == Path("trials/0000")
    before, after = ((root / "trials" / "0000" / "best.pt").stat() for root in (folder, tmp_path / "restored" / "study"))
    assert (before.st_mode, int(before.st_mtime)) == (after.st_mode, int(after.st_mtime))


def interrupted(*arguments: object) -> None:
    raise KeyboardInterrupt


def full(*arguments: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("fails", ["fsync", "_verify", "_write", "rename"])
@pytest.mark.parametrize(("how", "error"), [(interrupted, KeyboardInterrupt), (full, DiskError)])
def test_whatever_comes_in_between_leaves_nothing(
    folder: Path,
    tmp_path: Path,
    fails: str,
    how: Callable[..., None],
    error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os if hasattr(os, fails) else packing, fails, how)
    with pytest.raises(error):
        pack(folder, tmp_path / "study.tar.gz")
    monkeypatch.undo()
    assert left(tmp_path) == ["runs"]


def test_what_a_killed_one_left_is_replaced_and_a_finished_one_never_is(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "study.tar.gz.part").write_text("half")
    pack(folder, tmp_path / "study.tar.gz")
    whole = (tmp_path / "study.tar.gz").read_bytes()
    with pytest.raises(DiskError, match="made by another process"):
        pack(folder, tmp_path / "study.tar.gz")
    assert (tmp_path / "study.tar.gz").read_bytes() == whole
    assert left(tmp_path) == ["runs", "study.tar.gz"]


def change(part: Path, folder: Path) -> None:
    (folder / "study.json").write_text("[]")


def add(part: Path, folder: Path) -> None:
    (folder / "trials" / "0001").mkdir()


def flip(part: Path, folder: Path) -> None:
    """One bit of the archive on the disk."""
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)


def cut(part: Path, folder: Path) -> None:
    part.write_bytes(part.read_bytes()[:-1000])


def replace(part: Path, folder: Path) -> None:
    """Another archive, sound but without one file."""
    with tarfile.open(part, "w:gz") as packed:
        packed.add(folder / "study.json", "study/study.json")


@pytest.mark.parametrize(
    ("meddle", "says"),
    [
        (change, "was changed while it was archived"),
        (add, "was changed while it was archived"),
        (flip, "is the disk sound?"),
        (cut, "is the disk sound?"),
        (replace, "does not hold what was written to it"),
    ],
)
def test_an_archive_that_is_not_what_the_folder_is_never_gets_its_name(
    folder: Path, tmp_path: Path, meddle: Callable[[Path, Path], None], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = packing._write

    def meddled(part: Path, *rest: object) -> object:
        written = write(part, *rest)  # type: ignore[arg-type]
        meddle(part, folder)
        return written

    monkeypatch.setattr(packing, "_write", meddled)
    with pytest.raises(DiskError, match=says.replace("?", r"\?")):
        pack(folder, tmp_path / "study.tar.gz")
    assert left(tmp_path) == ["runs"]


@pytest.mark.parametrize(("place", "error"), [("trials/pipe", BadData), ("", DiskError)])
def test_what_cannot_be_archived_is_named(folder: Path, tmp_path: Path, place: str, error: type[OrchestrateError]) -> None:
    if place:
        os.mkfifo(folder / place)
    target = tmp_path / "study.tar.gz" if place else tmp_path / "no folder" / "study.tar.gz"
    with pytest.raises(error, match="pipe is neither file" if place else "cannot write .*study.tar.gz.part: No such file"):
        pack(folder, target)
    assert left(tmp_path) == ["runs"]
