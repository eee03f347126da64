"""A data set's files: fetched once where they are missing, never where they are damaged; and what they come to."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from orchestrator import plugins
from orchestrator.contracts import DataSet, LeftOut
from orchestrator.data_identity import read_data
from orchestrator.errors import MissingInput
from orchestrator.submission.images_to_predict import ImagesRequest, find_images, own_images
from orchestrator.support.activity import doing
from orchestrator.support.wording import several, shown

_MOST_LISTED = 5  # files in a line


def ensure_data_set(dataset: str, folder: Path, say: Callable[[str], None]) -> None:
    """Check that the files of a data set are in `folder`, and fetch them first if they are missing.

    A user's own data set is also read once: what is wrong with it is found before anything is trained. Damaged files that are
    left out are told, and what becomes of images without classes. Raises MissingInput, which says what is missing, both ways to
    get it, and why it could not be fetched; BadData for damaged files; DiskError.
    """
    source = plugins.dataset(dataset)
    source.info(folder)  # a user's own images cannot be fetched: it says so, and of published sets it reads nothing
    try:
        with doing(f"checking {dataset} in {folder}"):
            source.check(folder)
    except MissingInput as missing:
        say(f"{dataset} is not in {folder}: fetching it, once")
        try:
            with doing(f"fetching {dataset}"):
                source.fetch(folder)
        except MissingInput as offline:
            reason = str(offline).partition(". ")[0]
            raise MissingInput(f"{missing}. Tried just now: {reason}") from offline
        source.check(folder)
    _check_further(dataset, source, folder, say)
    if note := unlabelled_note(dataset, folder):
        say(f"note: {note}")


def report_missing_data_set(dataset: str, folder: Path, say: Callable[[str], None]) -> None:
    """Report what `ensure_data_set` would fetch, without fetching it. Raises BadData for damaged files."""
    source = plugins.dataset(dataset)
    source.info(folder)  # as above
    try:
        source.check(folder)
    except MissingInput:
        say(f"{dataset} is not in {folder}; the study fetches it first")
        return
    _check_further(dataset, source, folder, say)


def describe_data_set(dataset: str, folder: Path) -> list[str]:
    """Lines about a data set that was checked: what it has, images per class, and what was left out. Raises as its `load`.

    Its images without classes are read first, and matched with the sample submission.
    """
    return list(_described(dataset, folder))  # whatever is wrong is said before any of them


def _described(dataset: str, folder: Path) -> Iterator[str]:
    source = plugins.dataset(dataset)
    unlabelled = find_images(dataset, folder, ImagesRequest())
    damaged = unlabelled.check() if unlabelled is not None else {}
    reading = read_data(dataset, folder, "train", "test")
    info = reading.info
    train, test = ([0] * info.classes, [0] * info.classes)
    for counts, part in ((train, reading.parts["train"]), (test, reading.parts["test"])):
        for label in part.labels.tolist():
            counts[label] += 1
    images = f"{info.classes} classes, {info.train_images:,} training images of {info.size}×{info.size} pixels"
    yield f"{dataset} is complete and verified: {images}"
    yield from _per_class(reading.identity.classes or None, train, test)
    if source.names.left_out is not None:
        yield from left_out(source.names.left_out(folder))
    if unlabelled is not None:
        yield unlabelled_note(dataset, folder)
        yield from left_out(LeftOut(damaged=damaged, others=unlabelled.files.others))


def unlabelled_note(dataset: str, folder: Path) -> str:
    """What becomes of the images without classes that a data set came with, and what test_acc is then; "" where it has none."""
    unlabelled = own_images(dataset, folder)
    if unlabelled is None:
        return ""
    ids = f"as in {shown(unlabelled.sample)}" if unlabelled.sample is not None else "the names of the files"
    names = plugins.dataset(dataset).names.images
    labelled = f"{len(names(folder, 'test')):,} " if names is not None else ""
    count, place = several(len(unlabelled.names), "image"), shown(unlabelled.folder)
    return (
        f"{count} without classes in {place}: submissions predict them, with ids {ids}. "
        f"They have no accuracy: test_acc is measured on {labelled}labelled images, which are not trained on"
    )


def _check_further(dataset: str, source: DataSet, folder: Path, say: Callable[[str], None]) -> None:
    if plugins.is_own_dataset(dataset):
        for part in ("train", "test"):
            source.load(folder, part)
    if source.names.left_out is not None and (damaged := source.names.left_out(folder).damaged):
        count = several(len(damaged), "damaged file")
        say(f"warning: {count} of {dataset} {'is' if len(damaged) == 1 else 'are'} left out: {_first(list(damaged))}")


def _per_class(names: Sequence[str] | None, train: Sequence[int], test: Sequence[int]) -> Iterator[str]:
    if len({*zip(train, test, strict=True)}) == 1:
        yield f"each class has {train[0]:,} images to train on and {test[0]:,} for the test"
    else:
        for label, counts in enumerate(zip(train, test, strict=True)):
            yield f"  {names[label] if names is not None else label}: {counts[0]:,} to train on, {counts[1]:,} for the test"
    if missing := [str(names[label] if names is not None else label) for label, count in enumerate(train) if not count]:
        yield f"warning: no model can learn these classes, which have no training image: {_first(missing)}"


def left_out(found: LeftOut) -> Iterator[str]:
    """Lines about files that are left out."""
    hidden = [name for name in found.others if name.rpartition("/")[2].startswith(".")]
    no_images = [name for name in found.others if name not in hidden]
    if hidden:
        yield f"left out: {several(len(hidden), 'hidden file')}: {_first(hidden)}"
    if no_images:
        yield f"left out: {several(len(no_images), 'file')} without the ending of an image: {_first(no_images)}"
    if found.damaged:
        yield f"left out: {several(len(found.damaged), 'damaged file')}:"
        yield from (f"  {shown(name)} {why}" for name, why in found.damaged.items())


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_LISTED]) + (" …" if len(names) > _MOST_LISTED else "")
