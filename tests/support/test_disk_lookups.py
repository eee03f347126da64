"""A question to the disk is answered with yes, no, or an error."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import DiskError
from orchestrator.support import disk_lookups
from tests.helpers.unreadable_places import refuse

LOOKUPS: list[Callable[[Path], Any]] = [
    disk_lookups.status,
    disk_lookups.is_there,
    disk_lookups.is_file,
    disk_lookups.is_folder,
    disk_lookups.is_link,
    disk_lookups.names_in,
    disk_lookups.folders_in,
    disk_lookups.bytes_below,
    disk_lookups.content,
]
LOOKUP = pytest.mark.parametrize("lookup", LOOKUPS, ids=lambda lookup: lookup.__name__)


@LOOKUP
@pytest.mark.parametrize("name", ["absent", "absent/below", "file/below", "file/below/that"])
def test_where_nothing_can_be_there_is_nothing(lookup: Callable[[Path], Any], name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not lookup(tmp_path / name)


@LOOKUP
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_an_error_is_no_answer(
    lookup: Callable[[Path], Any], number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "folder" / "place"
    place.mkdir(parents=True)
    refuse(monkeypatch, tmp_path / "folder", number)
    with pytest.raises(DiskError, match=f"cannot read {place}: ") as raised:
        lookup(place)
    assert raised.value.exit_code == 74
    assert str(raised.value).count(str(place)) == 1


@pytest.mark.parametrize(
    "lookup", [one for one in LOOKUPS if one is not disk_lookups.is_link], ids=lambda lookup: lookup.__name__
)
@pytest.mark.parametrize("name", ["link", "link/below", "link/below/that", "second"])
def test_a_link_that_leads_nowhere_is_no_answer(lookup: Callable[[Path], Any], name: str, tmp_path: Path) -> None:
    """Its disk may not be mounted, and what lies there would be written again."""
    (tmp_path / "link").symlink_to("/nowhere/at/all")
    (tmp_path / "second").symlink_to("link")
    with pytest.raises(DiskError, match=" is a link to /nowhere/at/all, where nothing is"):
        lookup(tmp_path / name)
    assert disk_lookups.is_link(tmp_path / "link")


@LOOKUP
def test_a_circle_of_links_is_an_error(lookup: Callable[[Path], Any], tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    with pytest.raises(DiskError, match="cannot read"):
        lookup(tmp_path / "one" / "below")


def test_what_is_there_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "b folder").mkdir()
    (tmp_path / "a file").write_bytes(b"content")
    (tmp_path / "b folder" / "file").touch()
    (tmp_path / "c link").symlink_to("b folder")
    assert disk_lookups.names_in(tmp_path) == ["a file", "b folder", "c link"]
    assert disk_lookups.folders_in(tmp_path) == [tmp_path / "b folder", tmp_path / "c link"]
    assert [disk_lookups.is_file(path) for path in sorted(tmp_path.iterdir())] == [True, False, False]
    assert [disk_lookups.is_folder(path) for path in sorted(tmp_path.iterdir())] == [False, True, True]
    assert disk_lookups.names_in(tmp_path / "c link") == ["file"]
    assert [disk_lookups.is_link(path) for path in sorted(tmp_path.iterdir())] == [False, False, True]
    assert disk_lookups.content(tmp_path / "a file") == b"content"
    with pytest.raises(DiskError, match="cannot read"):
        disk_lookups.names_in(tmp_path / "a file")


def test_all_that_lies_below_a_folder_is_found_and_links_are_not_followed(tmp_path: Path) -> None:
    for name, size in (("b/c/file", 5), ("b/a", 7), ("z", 11)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / "b" / "up").symlink_to("..")
    found = [str(path.relative_to(tmp_path)) for path, _ in disk_lookups.below(tmp_path)]
    assert found == ["b", "b/a", "b/c", "b/c/file", "b/up", "z"]
    assert disk_lookups.bytes_below(tmp_path) == 23


def test_a_folder_below_that_cannot_be_read_is_not_counted_as_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    refuse(monkeypatch, tmp_path / "a" / "b", errno.EACCES)
    with pytest.raises(DiskError, match=f"cannot read {tmp_path}/a/b"):
        disk_lookups.bytes_below(tmp_path)
