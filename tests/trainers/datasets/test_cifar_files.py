"""Getting CIFAR-10 and CIFAR-100: from a web server, by hand, and never half; nothing unpublished is ever unpickled.

The files are made here, in the published layout; their md5 sums are used instead of the published ones.
"""

import gzip
import hashlib
import io
import pickle
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torchvision

from orchestrator import plugins
from orchestrator.errors import BadData, MissingInput
from orchestrator.sessions.fetch_data import ensure_data_set
from tests.helpers.http_server import Server, serving
from trainers.datasets import cifar10, cifar100
from trainers.datasets._cifar import Cifar, Published


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Made:
    """A data set in small: what was published, with the content of each file instead of the real one."""

    published: Published
    content: dict[str, bytes]

    @property
    def archive(self) -> bytes:
        return self.packed(self.content)

    @property
    def test_file(self) -> str:
        (name,) = self.published.test
        return name

    @property
    def train_file(self) -> str:
        return next(iter(self.published.train))

    def packed(self, content: dict[str, bytes]) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, data in content.items():
                member = tarfile.TarInfo(f"{self.published.folder}/{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return gzip.compress(stream.getvalue(), mtime=0)  # the same bytes in every second

    def served(self, address: str, archive: bytes | None = None) -> Cifar:
        """The data set, served at `address`."""

        def sums(files: Any) -> dict[str, str]:
            return {name: md5(self.content[name]) for name in files}

        published = replace(
            self.published,
            url=f"{address}/{self.published.archive}",
            archive_md5=md5(self.archive if archive is None else archive),
            train=sums(self.published.train),
            test=sums(self.published.test),
            meta=sums(self.published.meta),
        )
        return Cifar(published, cifar100.INFO)


def batch(images: np.ndarray, key: str, labels: list[int]) -> bytes:
    return pickle.dumps({"data": images.reshape(-1, 3072), key: labels})


PIXELS = np.arange(2 * 3072).astype(np.uint8).reshape(2, 3072)
CIFAR100 = Made(
    published=cifar100.PUBLISHED,
    content={
        "train": batch(PIXELS, "fine_labels", [3, 99]),
        "test": batch(PIXELS[:1] * 0, "fine_labels", [5]),
        "meta": pickle.dumps({"fine_label_names": ["a", "b"]}),
    },
)
CIFAR10 = Made(
    published=cifar10.PUBLISHED,
    content={
        **{f"data_batch_{n}": batch(PIXELS // n, "labels", [n, n + 1]) for n in range(1, 6)},
        "test_batch": batch(PIXELS[:1] * 0, "labels", [5]),
        "batches.meta": pickle.dumps({"label_names": ["a", "b"]}),
    },
)


@pytest.fixture(params=[CIFAR10, CIFAR100], ids=["cifar10", "cifar100"])
def made(request: pytest.FixtureRequest) -> Made:
    found: Made = request.param
    return found


@pytest.fixture
def server(made: Made) -> Iterator[Server]:
    with serving() as running:
        running.files[path_of(made)] = made.archive
        yield running


def path_of(made: Made) -> str:
    return f"/{made.published.archive}"


def leftovers(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_fetched_checked_loaded_and_then_left_alone(made: Made, server: Server, tmp_path: Path) -> None:
    dataset = made.served(server.address)
    with pytest.raises(MissingInput, match=made.train_file):
        dataset.check(tmp_path)
    dataset.fetch(tmp_path)
    dataset.check(tmp_path)
    train, test = dataset.load(tmp_path, "train"), dataset.load(tmp_path, "test")
    assert train.images.shape == (2 * len(made.published.train), 3, 32, 32)
    assert train.images[0, 0, 1, 0] == 32  # a row of 32 pixels after the other, red first
    assert train.labels.tolist() == ([3, 99] if made is CIFAR100 else [1, 2, 2, 3, 3, 4, 4, 5, 5, 6])
    assert (test.images.shape, test.labels.tolist()) == ((1, 3, 32, 32), [5])
    assert dataset.names.classes is not None
    assert dataset.names.classes(tmp_path) == ("a", "b")
    dataset.fetch(tmp_path)
    assert server.requests == [path_of(made)]


def test_it_is_what_torchvision_reads(made: Made, server: Server, tmp_path: Path) -> None:
    dataset = made.served(server.address)
    dataset.fetch(tmp_path)

    base = torchvision.datasets.CIFAR10 if made is CIFAR10 else torchvision.datasets.CIFAR100
    sums = {
        "train_list": [[name, md5(made.content[name])] for name in made.published.train],
        "test_list": [[name, md5(made.content[name])] for name in made.published.test],
        "meta": {"filename": next(iter(made.published.meta)), "key": made.published.names_key, "md5": None},
    }
    theirs_in_small = type("Theirs", (base,), sums)
    parts: tuple[Literal["train", "test"], ...] = ("train", "test")
    for part in parts:
        ours, theirs = dataset.load(tmp_path, part), theirs_in_small(tmp_path, train=part == "train")
        assert np.array_equal(ours.images.transpose(0, 2, 3, 1), theirs.data)
        assert ours.labels.tolist() == theirs.targets


def test_the_md5_sums_are_those_that_torchvision_has(made: Made) -> None:
    theirs = torchvision.datasets.CIFAR10 if made is CIFAR10 else torchvision.datasets.CIFAR100
    published = made.published
    assert published.archive_md5 == theirs.tgz_md5
    assert (published.url, published.folder) == (theirs.url, theirs.base_folder)
    assert [list(item) for item in published.train.items()] == theirs.train_list
    assert [list(item) for item in published.test.items()] == theirs.test_list
    assert dict(published.meta) == {theirs.meta["filename"]: theirs.meta["md5"]}
    assert published.names_key == theirs.meta["key"]


def test_a_broken_connection_leaves_nothing_and_the_next_try_succeeds(made: Made, server: Server, tmp_path: Path) -> None:
    server.cut_after = len(made.archive) // 2
    with pytest.raises(MissingInput, match=r"broke.*By hand"):
        made.served(server.address).fetch(tmp_path)
    assert leftovers(tmp_path) == []
    server.cut_after = None
    made.served(server.address).fetch(tmp_path)
    made.served(server.address).check(tmp_path)


def test_an_altered_archive_is_refused(made: Made, server: Server, tmp_path: Path) -> None:
    server.files[path_of(made)] = made.archive[:-1] + b"x"
    with pytest.raises(BadData, match="does not serve the expected file"):
        made.served(server.address).fetch(tmp_path)
    assert leftovers(tmp_path) == []


def test_an_archive_without_the_right_files_is_refused(made: Made, server: Server, tmp_path: Path) -> None:
    altered = made.packed({**made.content, made.test_file: b"other"})
    incomplete = made.packed({made.train_file: made.content[made.train_file]})
    for archive in (altered, incomplete, b"no archive"):
        server.files[path_of(made)] = archive
        with pytest.raises(BadData):
            made.served(server.address, archive).fetch(tmp_path)
        with pytest.raises(MissingInput):
            made.served(server.address).load(tmp_path, "test")
        (tmp_path / made.published.archive).unlink()


def test_an_archive_cannot_write_outside_its_folder(made: Made, server: Server, tmp_path: Path) -> None:
    archive = made.packed({**made.content, "../../../escaped": b"x"})
    server.files[path_of(made)] = archive
    folder = tmp_path / "deep" / "data"
    made.served(server.address, archive).fetch(folder)
    made.served(server.address, archive).check(folder)
    assert not list(tmp_path.rglob("escaped"))


def test_a_link_in_an_archive_is_not_followed(made: Made, server: Server, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(made.content[made.train_file])
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        link = tarfile.TarInfo(f"{made.published.folder}/{made.train_file}")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        tar.addfile(link)
    server.files[path_of(made)] = stream.getvalue()
    with pytest.raises(BadData, match="no regular file"):
        made.served(server.address, stream.getvalue()).fetch(tmp_path / "data")
    assert not (tmp_path / "data" / made.published.folder).exists()


def test_a_study_fetches_what_is_missing_once(
    made: Made, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "dataset", lambda name: made.served(server.address))
    name, folder = made.published.name, tmp_path / made.published.folder
    said: list[str] = []
    ensure_data_set(name, tmp_path, said.append)
    assert said == [f"{name} is not in {tmp_path}: fetching it, once"]
    server.files.clear()
    ensure_data_set(name, tmp_path, said.append)
    assert len(said) == 1
    (folder / made.test_file).write_bytes(b"damaged")
    with pytest.raises(BadData, match="truncated or altered"):
        ensure_data_set(name, tmp_path, said.append)
    (folder / made.test_file).unlink()
    (tmp_path / made.published.archive).unlink()
    with pytest.raises(MissingInput, match=r"there is no .*\. With network: .*By hand: .*Tried just now: cannot download"):
        ensure_data_set(name, tmp_path, said.append)


def test_without_network_the_message_says_what_to_do_by_hand(made: Made, tmp_path: Path) -> None:
    with serving() as gone:
        address = gone.address
    with pytest.raises(MissingInput, match=rf"cannot download .*By hand: .*tar -xzf {made.published.archive}"):
        made.served(address).fetch(tmp_path)
    (tmp_path / made.published.archive).write_bytes(made.archive)
    made.served(address).fetch(tmp_path)
    made.served(address).check(tmp_path)


def test_a_missing_page_is_missing_input(made: Made, server: Server, tmp_path: Path) -> None:
    server.files.clear()
    with pytest.raises(MissingInput, match="Not Found"):
        made.served(server.address).fetch(tmp_path)


class Marks:
    """Unpickling it makes a file: what an altered pickle could do."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("change", ["cut", "flip", "code"])
@pytest.mark.parametrize("kind", ["test", "meta"])
def test_an_altered_file_is_named_and_never_unpickled(kind: str, change: str, made: Made, server: Server, tmp_path: Path) -> None:
    dataset = made.served(server.address)
    dataset.fetch(tmp_path)
    name = made.test_file if kind == "test" else next(iter(made.published.meta))
    file = tmp_path / made.published.folder / name
    content = file.read_bytes()
    mark = tmp_path / "mark"
    changed = {"cut": content[:-10], "flip": content[:-1] + b"x", "code": pickle.dumps(Marks(mark))}
    file.write_bytes(changed[change])
    class_names = dataset.names.classes
    assert class_names is not None
    use = (lambda: dataset.load(tmp_path, "test")) if kind == "test" else (lambda: class_names(tmp_path))
    for refused in (lambda: dataset.check(tmp_path), use):
        with pytest.raises(BadData, match=rf"{made.published.folder}/{name} is truncated or altered.*Delete it"):
            refused()
    assert not mark.exists()
    dataset.fetch(tmp_path)
    dataset.check(tmp_path)


def test_the_published_set_names_both_ways_to_get_it(made: Made, tmp_path: Path) -> None:
    with pytest.raises(MissingInput) as caught:
        plugins.dataset(made.published.name).check(tmp_path)
    message = str(caught.value)
    assert str(tmp_path / made.published.folder / made.train_file) in message
    assert f"orchestrate data fetch {made.published.name}" in message
    assert made.published.url in message
