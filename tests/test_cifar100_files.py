"""Getting CIFAR-100: from a web server, by hand, and never half; nothing unpublished is ever unpickled."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import plugins
from orchestrator.errors import BadData, MissingInput
from orchestrator.fetching import ensure
from tests._server import Server, serving
from trainers.datasets.cifar100 import Cifar100, dataset

CONTENT = {
    "train": pickle.dumps({"data": np.arange(2 * 3072).astype(np.uint8).reshape(2, 3072), "fine_labels": [3, 99]}),
    "test": pickle.dumps({"data": np.zeros((1, 3072), dtype=np.uint8), "fine_labels": [5]}),
    "meta": pickle.dumps({"fine_label_names": ["a", "b"]}),
}


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def archive_of(content: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(f"cifar-100-python/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


ARCHIVE = archive_of(CONTENT)


def small(address: str, archive: bytes = ARCHIVE) -> Cifar100:
    """The data set in small, served at `address`."""
    return Cifar100(
        url=f"{address}/cifar.tar.gz", archive_md5=md5(archive), file_md5={name: md5(data) for name, data in CONTENT.items()}
    )


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        running.files["/cifar.tar.gz"] = ARCHIVE
        yield running


def leftovers(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_fetched_checked_loaded_and_then_left_alone(server: Server, tmp_path: Path) -> None:
    cifar100 = small(server.address)
    with pytest.raises(MissingInput, match="train"):
        cifar100.check(tmp_path)
    cifar100.fetch(tmp_path)
    cifar100.check(tmp_path)
    train = cifar100.load(tmp_path, "train")
    assert train.images.shape == (2, 3, 32, 32)
    assert train.images[0, 0, 1, 0] == 32  # a row of 32 pixels after the other, red first
    assert train.labels.tolist() == [3, 99]
    cifar100.fetch(tmp_path)
    assert server.requests == ["/cifar.tar.gz"]


def test_a_broken_connection_leaves_nothing_and_the_next_try_succeeds(server: Server, tmp_path: Path) -> None:
    server.cut_after = len(ARCHIVE) // 2
    with pytest.raises(MissingInput, match=r"broke.*By hand"):
        small(server.address).fetch(tmp_path)
    assert leftovers(tmp_path) == []
    server.cut_after = None
    small(server.address).fetch(tmp_path)
    small(server.address).check(tmp_path)


def test_an_altered_archive_is_refused(server: Server, tmp_path: Path) -> None:
    server.files["/cifar.tar.gz"] = ARCHIVE[:-1] + b"x"
    with pytest.raises(BadData, match="does not serve the expected file"):
        small(server.address).fetch(tmp_path)
    assert leftovers(tmp_path) == []


def test_an_archive_without_the_right_files_is_refused(server: Server, tmp_path: Path) -> None:
    for archive in (archive_of({**CONTENT, "test": b"other"}), archive_of({"train": CONTENT["train"]}), b"no archive"):
        server.files["/cifar.tar.gz"] = archive
        with pytest.raises(BadData):
            small(server.address, archive).fetch(tmp_path)
        with pytest.raises(MissingInput):
            small(server.address).load(tmp_path, "test")
        (tmp_path / "cifar-100-python.tar.gz").unlink()


def test_an_archive_cannot_write_outside_its_folder(server: Server, tmp_path: Path) -> None:
    archive = archive_of({**CONTENT, "../../../escaped": b"x"})
    server.files["/cifar.tar.gz"] = archive
    folder = tmp_path / "deep" / "data"
    small(server.address, archive).fetch(folder)
    small(server.address, archive).check(folder)
    assert not list(tmp_path.rglob("escaped"))


def test_a_link_in_an_archive_is_not_followed(server: Server, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT["train"])
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        link = tarfile.TarInfo("cifar-100-python/train")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        tar.addfile(link)
    server.files["/cifar.tar.gz"] = stream.getvalue()
    with pytest.raises(BadData, match="no regular file"):
        small(server.address, stream.getvalue()).fetch(tmp_path / "data")
    assert not (tmp_path / "data" / "cifar-100-python").exists()


def test_a_study_fetches_what_is_missing_once(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "dataset", lambda name: small(server.address))
    said: list[str] = []
    ensure("cifar100", tmp_path, said.append)
    assert said == [f"cifar100 is not in {tmp_path}: fetching it, once"]
    server.files.clear()
    ensure("cifar100", tmp_path, said.append)
    assert len(said) == 1
    (tmp_path / "cifar-100-python" / "test").write_bytes(b"damaged")
    with pytest.raises(BadData, match="truncated or altered"):
        ensure("cifar100", tmp_path, said.append)
    (tmp_path / "cifar-100-python" / "test").unlink()
    (tmp_path / "cifar-100-python.tar.gz").unlink()
    with pytest.raises(MissingInput, match=r"there is no .*/test\. With network: .*By hand: .*Tried just now: cannot download"):
        ensure("cifar100", tmp_path, said.append)


def test_without_network_the_message_says_what_to_do_by_hand(tmp_path: Path) -> None:
    with serving() as gone:
        address = gone.address
    with pytest.raises(MissingInput, match=r"cannot download .*By hand: .*tar -xzf cifar-100-python\.tar\.gz"):
        small(address).fetch(tmp_path)
    (tmp_path / "cifar-100-python.tar.gz").write_bytes(ARCHIVE)
    small(address).fetch(tmp_path)
    small(address).check(tmp_path)


def test_a_missing_page_is_missing_input(server: Server, tmp_path: Path) -> None:
    server.files.clear()
    with pytest.raises(MissingInput, match="Not Found"):
        small(server.address).fetch(tmp_path)


class Marks:
    """Unpickling it makes a file: what an altered pickle could do."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("change", ["cut", "flip", "code"])
def test_an_altered_file_is_named_and_never_unpickled(change: str, server: Server, tmp_path: Path) -> None:
    cifar100 = small(server.address)
    cifar100.fetch(tmp_path)
    file = tmp_path / "cifar-100-python" / "test"
    content = file.read_bytes()
    mark = tmp_path / "mark"
    changed = {"cut": content[:-10], "flip": content[:-1] + b"x", "code": pickle.dumps(Marks(mark))}
    file.write_bytes(changed[change])
    for use in (lambda: cifar100.check(tmp_path), lambda: cifar100.load(tmp_path, "test")):
        with pytest.raises(BadData, match=r"cifar-100-python/test is truncated or altered.*Delete it"):
            use()
    assert not mark.exists()
    cifar100.fetch(tmp_path)
    cifar100.check(tmp_path)


def test_the_published_set_names_both_ways_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingInput) as caught:
        dataset.check(tmp_path)
    message = str(caught.value)
    assert str(tmp_path / "cifar-100-python" / "train") in message
    assert "orchestrate data fetch cifar100" in message
    assert "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz" in message
