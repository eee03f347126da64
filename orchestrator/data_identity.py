"""What a model was trained on, kept in its checkpoints, so that its numbers never get the names of other classes or images."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import numpy as np

from orchestrator import plugins
from orchestrator.contracts import DataSet, DataSetInfo, Labelled
from orchestrator.errors import BadData
from orchestrator.support.serialization import canonical

Part = Literal["train", "test"]
_MOST_SHOWN = 3  # names in a message


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DataIdentity:
    """By what a data set is recognised: sha256 digests, and the names of its classes. "" and () are what is not known."""

    dataset: str
    digest: str = ""  # of the training images and labels, as they were read
    classes: tuple[str, ...] = ()  # in the order of the labels
    test_names: str = ""  # of the names of the test images, in their order
    test_digest: str = ""  # of the test images and labels, where they were read

    @property
    def classes_digest(self) -> str:
        """Of the names of the classes."""
        return _digest_of_names(self.classes)

    def difference(self, now: "DataIdentity") -> str:
        """What is not as it was, in one phrase; "" where all is. What one of the two does not know is not compared."""
        if what := self.training_difference(now):
            return what
        if _differ(self.test_names, now.test_names):
            return "its test images have other names, or another order"
        return "its test images or their labels have changed" if _differ(self.test_digest, now.test_digest) else ""

    def training_difference(self, now: "DataIdentity") -> str:
        """The same, of what a model learns from: classes, training images and their labels."""
        if self.classes and now.classes and self.classes != now.classes:
            return f"its classes have changed ({_changes(self.classes, now.classes)})"
        return "its training images or their labels have changed" if _differ(self.digest, now.digest) else ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DataReading:
    """Parts of a data set that belong together: images and labels, the names of the test images, and the identity of it all."""

    identity: DataIdentity
    info: DataSetInfo
    parts: Mapping[Part, Labelled]
    test_names: tuple[str, ...]  # () where they have none


def read_data(dataset: str, folder: Path, *parts: Part) -> DataReading:
    """Read parts of a data set, and its names before and after, so that names and numbers are of one state of the files.

    Raises BadData where the files changed meanwhile, or names and images are not as many; and what the data set raises.
    """
    source = plugins.dataset(dataset)
    names = _names(source, folder)
    info = source.info(folder)
    read = {part: source.load(folder, part) for part in parts}
    if _names(source, folder) != names:
        raise BadData(f"{dataset} changed while it was read: try again when it is complete")
    classes, test_names = names
    _check_number(dataset, "classes", len(classes), info.classes)
    if "test" in read:
        _check_number(dataset, "test images", len(test_names), len(read["test"].labels))
    identity = DataIdentity(
        dataset=dataset,
        digest=_digest(read.get("train")),
        classes=classes,
        test_names=_digest_of_names(test_names),
        test_digest=_digest(read.get("test")),
    )
    return DataReading(identity=identity, info=info, parts=read, test_names=test_names)


def class_names(dataset: str, folder: Path) -> tuple[str, ...]:
    """The names of a data set's classes, in the order of the labels; () where they have none. Raises as the data set does."""
    names = plugins.dataset(dataset).names.classes
    return tuple(map(str, names(folder))) if names is not None else ()


def _names(source: DataSet, folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the classes, and of the test images: plain texts, whatever a data set gives."""
    names = source.names
    classes = tuple(map(str, names.classes(folder))) if names.classes is not None else ()
    return classes, tuple(map(str, names.images(folder, "test"))) if names.images is not None else ()


def _check_number(dataset: str, what: str, names: int, expected: int) -> None:
    if names not in (0, expected):
        raise BadData(f"{dataset} gives {names:,} names for its {expected:,} {what}: each needs one")


def _digest(read: Labelled | None) -> str:
    if read is None:
        return ""
    digest = hashlib.sha256(np.ascontiguousarray(read.images).data)
    digest.update(np.ascontiguousarray(read.labels).data)
    return digest.hexdigest()


def _digest_of_names(names: Sequence[str]) -> str:
    return hashlib.sha256(canonical(names).encode("utf-8", "surrogatepass")).hexdigest() if names else ""


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other


def _changes(before: Sequence[str], now: Sequence[str]) -> str:
    gone = [f"{name!r} is gone" for name in before if name not in set(now)]
    new = [f"{name!r} is new" for name in now if name not in set(before)]
    if not gone and not new:
        return "the same names in another order"
    shown = [*gone[:_MOST_SHOWN], *new[:_MOST_SHOWN]]
    return ", ".join(shown) + (", …" if len(shown) < len(gone) + len(new) else "")
