"""The border of data sets: whatever a user's own one gives is checked, and named with what is wrong, before it is used."""

import math
import numbers
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from orchestrator.contracts import DataSet, DataSetInfo, DataSetNames, ImageFiles, Labelled, LeftOut, ReadImages
from orchestrator.errors import BadData, OrchestrateError
from orchestrator.plugin_errors import blame_plugin
from orchestrator.support.serialization import shortened
from orchestrator.support.wording import one_line, several

if TYPE_CHECKING:
    import numpy as np

# Of each whole number in the info.
_FEWEST = {
    "classes": 2,
    "channels": 1,
    "size": 1,
    "padding": 0,
    "train_images": 1,
    "validation_images": 1,
    "confirmation_images": 0,
    "trial_epochs": 1,
    "retrain_epochs": 1,
    "skipped_images": 0,
}
_BRIGHTEST = 255


@final
class CheckedDataSet:
    """A data set with every answer checked. Each method raises BadData for an answer that cannot be used."""

    def __init__(self, name: str, source: DataSet) -> None:
        self._name = name
        self._source = source
        self._what = f"data set {name!r}"

    @property
    def names(self) -> DataSetNames:
        """As the data set's own."""
        own = self._own_names()
        return DataSetNames(
            classes=self._class_names if own.classes is not None else None,
            images=self._image_names if own.images is not None else None,
            left_out=self._left_out if own.left_out is not None else None,
            image_files=self._image_files if own.image_files is not None else None,
            unlabelled=self._unlabelled if own.unlabelled is not None else None,
        )

    def info(self, folder: Path) -> DataSetInfo:
        """As the data set's own: whole numbers that fit each other."""
        with blame_plugin(self._what):
            info = self._source.info(folder)
        self._refuse(_problem_of_info(info))
        return _plain(info)

    def check(self, folder: Path) -> None:
        """As the data set's own."""
        with blame_plugin(self._what):
            self._source.check(folder)

    def fetch(self, folder: Path) -> None:
        """As the data set's own."""
        with blame_plugin(self._what):
            self._source.fetch(folder)

    def load(self, folder: Path, part: Literal["train", "test"]) -> Labelled:
        """As the data set's own: uint8 images and whole labels, as many and as large as its info says."""
        info = self.info(folder)
        try:
            with blame_plugin(self._what):
                read = self._source.load(folder, part)
        except MemoryError as error:  # also where a damaged file claims to be huge; no setting of a run is to blame
            raise OrchestrateError(f"{self._what} needs more memory than there is: {one_line(shortened(error))}") from error
        self._refuse(_problem_of_images(read, info, part))
        return read

    def _own_names(self) -> DataSetNames:
        with blame_plugin(self._what):
            return self._source.names

    def _class_names(self, folder: Path) -> Sequence[str]:
        own = self._own_names().classes
        assert own is not None
        with blame_plugin(self._what):
            found = own(folder)
        self._refuse(_problem_of_names(found, "classes", self.info(folder).classes))
        return found

    def _image_names(self, folder: Path, part: Literal["train", "test"]) -> Sequence[str]:
        own = self._own_names().images
        assert own is not None
        with blame_plugin(self._what):
            found = own(folder, part)
        self._refuse(_problem_of_names(found, f"{part} images", self.info(folder).train_images if part == "train" else None))
        return found

    def _left_out(self, folder: Path) -> LeftOut:
        own = self._own_names().left_out
        assert own is not None
        with blame_plugin(self._what):
            found = own(folder)
        self._refuse(_problem_of_kind(found, LeftOut, "its left_out is"))
        self._refuse(_problem_of_left_out(found))
        return found

    def _unlabelled(self, folder: Path) -> ImageFiles | None:
        own = self._own_names().unlabelled
        assert own is not None
        with blame_plugin(self._what):
            found = own(folder)
        return self._checked(found, "its unlabelled images are") if found is not None else None

    def _image_files(self, folder: Path) -> ImageFiles:
        own = self._own_names().image_files
        assert own is not None
        with blame_plugin(self._what):
            found = own(folder)
        return self._checked(found, "its image_files give")

    def _checked(self, found: ImageFiles, what: str) -> ImageFiles:
        self._refuse(_problem_of_kind(found, ImageFiles, what))
        self._refuse(_problem_of_names(found.names, "image files", None))
        return replace(found, read=lambda names: self._read(found, names))

    def _read(self, files: ImageFiles, names: Sequence[str]) -> Iterator[ReadImages]:
        """What the data set reads, with every part checked, and each file in one of them."""
        left = set(names)
        with blame_plugin(self._what):
            parts = iter(files.read(names))
        while True:
            with blame_plugin(self._what):
                part = next(parts, None)
                problem = _problem_of_part(part, left) if part is not None else ""
            self._refuse(problem)
            if part is None:
                break
            left.difference_update(part.names, part.damaged)
            yield part
        if left:
            self._refuse(f"it does not say what its image file {shortened(min(left))!r} holds")

    def _refuse(self, problem: str) -> None:
        if problem:
            raise BadData(f"{self._what} cannot be used: {problem}")


def _problem_of_left_out(found: LeftOut) -> str:
    damaged, others = found.damaged, found.others
    if not isinstance(damaged, Mapping) or not _are_texts([*damaged.keys(), *damaged.values()]):
        return f"damaged in its left_out is {_shown(damaged)} where names of files and reasons are expected"
    if not isinstance(others, tuple | list) or not _are_texts(others):
        return f"others in its left_out is {_shown(others)} where a tuple of names is expected"
    return ""


def _are_texts(found: Sequence[object]) -> bool:
    return all(isinstance(text, str) for text in found)


def _problem_of_info(info: object) -> str:
    if not isinstance(info, DataSetInfo):
        return f"its info is {_a(info)} where an orchestrator.contracts.DataSetInfo is expected"
    for name, fewest in _FEWEST.items():
        if not _is_whole(found := getattr(info, name)) or found < fewest:
            return f"{name} in its info is {_shown(found)} where a whole number of at least {fewest} is expected"
    for name, least in (("mean", -math.inf), ("std", 0.0)):
        values = getattr(info, name)
        if not isinstance(values, tuple | list) or not all(_is_finite(value) and value > least for value in values):
            wanted = "positive numbers" if least == 0 else "finite numbers"
            return f"{name} in its info is {_shown(values)} where a tuple of {wanted} is expected"
        if len(values) != info.channels:
            return f"{name} in its info has {several(len(values), 'number')} for {several(info.channels, 'channel')}"
    sizes = info.batch_sizes
    if not isinstance(sizes, tuple | list) or not sizes or not all(_is_whole(size) and size >= 1 for size in sizes):
        return f"batch_sizes in its info is {_shown(sizes)} where a tuple of whole numbers of at least 1 is expected"
    if (held_out := info.validation_images + info.confirmation_images) >= info.train_images:
        return (
            f"validation_images and confirmation_images in its info, {held_out:,} together, leave nothing of "
            f"{info.train_images:,} train_images"
        )
    return ""


def _plain(info: DataSetInfo) -> DataSetInfo:
    """The same with Python's own numbers: numpy's cannot be written into records."""
    whole: dict[str, Any] = {name: int(getattr(info, name)) for name in _FEWEST}
    mean, std = (tuple(map(float, values)) for values in (info.mean, info.std))
    return replace(info, **whole, mean=mean, std=std, batch_sizes=tuple(map(int, info.batch_sizes)))


def _problem_of_images(read: object, info: DataSetInfo, part: str) -> str:
    if not isinstance(read, Labelled):
        return f"load gives {_a(read)} where an orchestrator.contracts.Labelled is expected"
    return _problem_of_pixels(read.images, info, part) or _problem_of_labels(read.labels, len(read.images), info.classes, part)


def _problem_of_pixels(images: Any, info: DataSetInfo, part: str) -> str:
    import numpy as np

    if not isinstance(images, np.ndarray):
        return f"its {part} images are {_a(images)} where a numpy array is expected"
    if images.dtype != np.uint8:
        scale = "" if images.dtype.kind in "iu" else "; floats of another scale would be other images"
        return f"its {part} images are {images.dtype} where uint8 is expected, 0 to {_BRIGHTEST}{scale}"
    wanted = (info.channels, info.size, info.size)
    if images.shape[1:] != wanted or images.ndim != len(wanted) + 1:
        return f"its {part} images have the shape {_times(images.shape)} where {_times(('N', *wanted))} is expected"
    if part == "train" and len(images) != info.train_images:
        return f"it has {len(images):,} training images, and its info says {info.train_images:,}"
    return "" if len(images) else f"it has no {part} images"


def _problem_of_kind(found: object, kind: type, what: str) -> str:
    return "" if isinstance(found, kind) else f"{what} {_a(found)} where an {kind.__module__}.{kind.__name__} is expected"


def _problem_of_part(part: object, left: set[str]) -> str:
    """Of some image files that were read, of those that are `left`."""
    import numpy as np

    if not isinstance(part, ReadImages):
        return _problem_of_kind(part, ReadImages, "it reads image files as")
    told = [*part.names, *part.damaged]
    if len(set(told)) < len(told) or not left.issuperset(told):
        return "it reads an image file twice, or one that it was not asked for"
    images: Any = part.images
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        found = f"{images.dtype}, {_times(images.shape)}" if isinstance(images, np.ndarray) else _a(images)
        return f"it reads image files as {found} where uint8 is expected, N×C×H×W"
    if len(images) != len(part.names):
        return f"it reads {several(len(images), 'image')} from {several(len(part.names), 'image file')}"
    return ""


def _problem_of_labels(labels: Any, images: int, classes: int, part: str) -> str:
    import numpy as np

    if not isinstance(labels, np.ndarray):
        return f"its {part} labels are {_a(labels)} where a numpy array is expected"
    if labels.dtype.kind not in "iu":
        return f"its {part} labels are {labels.dtype} where whole numbers are expected, int64"
    if labels.ndim != 1:
        return f"its {part} labels have the shape {_times(labels.shape)} where N is expected"
    if len(labels) != images:
        return f"it has {several(len(labels), 'label')} for {several(images, f'{part} image')}"
    return _problem_of_range(labels, classes, part)


def _problem_of_range(labels: "np.ndarray", classes: int, part: str) -> str:
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        first = int(outside.nonzero()[0][0])
        return f"the label {labels[first]} of its {part} image {first} is none of 0 to {classes - 1}"
    return ""


def _problem_of_names(names: Any, of_what: str, count: int | None) -> str:
    if isinstance(names, str) or not isinstance(names, Sequence):
        return f"the names of its {of_what} are {_a(names)} where a sequence of texts is expected"
    if odd := [name for name in names if not isinstance(name, str)]:
        return f"one of the names of its {of_what} is {_a(odd[0])} where a text is expected"
    if count is not None and len(names) != count:
        return f"it has {several(len(names), 'name')} for {count:,} {of_what}"
    if len(set(names)) < len(names):
        return f"two of its {of_what} are named {shortened(Counter(names).most_common(1)[0][0])!r}"
    return ""


def _is_whole(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(value)


def _shown(value: object) -> str:
    return shortened(" ".join(repr(value).split()))


def _a(value: object) -> str:
    """The type of a value, for a sentence."""
    kind = type(value)
    if value is None:
        return "None"
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _times(shape: Sequence[object]) -> str:
    return "×".join(map(str, shape)) or "()"
