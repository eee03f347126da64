"""Decoded images are kept, and nothing outdated or damaged is ever read."""

import fcntl
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from orchestrator import plugins
from orchestrator.errors import DiskError
from tests.helpers.image_folders import decoded_folders, pictures, write
from tests.helpers.paths import ROOT


def moments(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_the_images_are_decoded_once(root: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{root}")
    first = dataset.load(data, "train").images
    (folder,) = decoded_folders(data)
    before = moments(folder)
    assert set(before) == {"train.npy", "test.npy", "facts.json"}
    assert np.array_equal(np.load(folder / "train.npy", allow_pickle=False), first)
    again = plugins.dataset(f"folder:{root}?size=32")
    again.check(data)
    assert np.array_equal(again.load(data, "train").images, first)
    assert moments(folder) == before


@pytest.mark.parametrize("change", ["content", "time", "added", "removed", "renamed", "class"])
def test_a_changed_folder_is_read_again(change: str, root: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{root}")
    before = dataset.info(data)
    (folder,) = decoded_folders(data)
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
    assert decoded_folders(data) != [folder]
    assert len(decoded_folders(data)) == 1  # what is outdated is deleted
    assert (after.train_images, after.classes) == {
        "added": (before.train_images + 1, 3),
        "removed": (before.train_images - 1, 3),
        "class": (before.train_images + 11, 4),
    }.get(change, (before.train_images, 3))


@pytest.mark.parametrize("damage", ["train.npy", "test.npy", "facts.json", "cut", "gone"])
def test_what_is_kept_and_damaged_is_made_again(damage: str, root: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{root}")
    first = dataset.load(data, "train").images
    (folder,) = decoded_folders(data)
    file = folder / (damage if "." in damage else "train.npy")
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
    (folder,) = decoded_folders(data)
    assert np.array_equal(np.load(folder / "train.npy", allow_pickle=False), first)


def test_what_a_killed_process_left_is_cleared_away(root: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{root}")
    dataset.check(data)
    (folder,) = decoded_folders(data)
    aside = folder.with_name(folder.name[: -len("-0123456789abcdef")] + "-killed.part")
    folder.rename(aside)
    os.utime(aside, (1, 1))  # its age, by a clock that may have been set, says nothing
    with (aside / "lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        dataset.check(data)
        assert decoded_folders(data) == sorted([folder, aside])  # another process is at it
    os.utime(root / "zero" / "00.png", (1, 1))
    dataset.check(data)
    assert aside not in decoded_folders(data)
    assert len(decoded_folders(data)) == 1


@pytest.mark.slow  # two processes that import torch
def test_processes_that_decode_at_the_same_moment_do_not_disturb_each_other(root: Path, data: Path) -> None:
    code = f"""
from pathlib import Path
from orchestrator import plugins
print(plugins.dataset("folder:{root}").load(Path("{data}"), "train").images.sum())
"""
    both = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = {process.communicate(timeout=120)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(sums) == len(decoded_folders(data)) == 1


def test_a_full_disk_leaves_nothing(root: Path, data: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(DiskError, match=r"cannot write .*pictures-.*: File too large"):
            plugins.dataset(f"folder:{root}").check(data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert decoded_folders(data) == []
    plugins.dataset(f"folder:{root}").check(data)


def test_a_data_folder_that_cannot_be_written_is_a_disk_error(root: Path, data: Path) -> None:
    data.write_text("a file")
    with pytest.raises(DiskError, match="cannot write"):
        plugins.dataset(f"folder:{root}").check(data)


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
