"""A data set of the user's own is checked at its border: what is wrong with it is said in one line, before any training."""

import itertools
import re
from pathlib import Path

import pytest

from orchestrator import plugins
from orchestrator.errors import BadData, DiskError
from orchestrator.plugin_errors import blame_plugin
from tests.helpers.in_process_cli import call, content, refused

SOURCE = """
from dataclasses import replace
import numpy as np
from orchestrator.contracts import DataSetInfo, DataSetNames, ImageFiles, Labelled, LeftOut, ReadImages

INFO = DataSetInfo(
    classes=3, channels=1, size=8, mean=(0.5,), std=(0.25,), padding=1, flip=False, train_images=60, validation_images=6,
    confirmation_images=6, batch_sizes=(4,), trial_epochs=1, retrain_epochs=1,
)

def images(n):
    return np.random.default_rng(n).integers(0, 256, (n, 1, 8, 8), dtype=np.uint8)

def labels(n):
    return np.arange(n) % 3

class Mine:
    names = DataSetNames()

    def info(self, folder):
        return INFO

    def check(self, folder): ...

    def fetch(self, folder): ...

    def load(self, folder, part):
        n = 60 if part == "train" else 9
        return Labelled(images=images(n), labels=labels(n))

class Changed(Mine):
    {changed}

dataset = Changed()
"""

numbers = itertools.count()


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's data sets, below the working directory."""
    folder = tmp_path / "trainers" / "datasets"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    datasets = __import__("trainers.datasets").datasets
    monkeypatch.setattr("trainers.datasets.__path__", [*datasets.__path__])  # without the folder after the test
    monkeypatch.setattr("trainers.__path__", [*__import__("trainers").__path__])
    return folder


def write(folder: Path, changed: str) -> str:
    """A data set of a name of its own, since Python remembers modules by their names."""
    name = f"mine{next(numbers)}"
    (folder / f"{name}.py").write_text(SOURCE.format(changed=changed))
    return name


def method(name: str, body: str) -> str:
    return f"def {name}: {body}"


def info(**changes: str) -> str:
    changed = ", ".join(f"{name}={value}" for name, value in changes.items())
    return method("info(self, folder)", f"return replace(INFO, {changed})")


def load(images: str = "images(n)", labels: str = "labels(n)", result: str = "") -> str:
    made = result or f"Labelled(images={images}, labels={labels})"
    return method("load(self, folder, part)", f"n = 60 if part == 'train' else 9; return {made}")


USED = "cannot be used: "

WRONG = {
    "floats": (
        load(images="images(n) / 255"),
        USED + "its train images are float64 where uint8 is expected, 0 to 255; floats",
    ),
    "int16": (load(images="images(n).astype(np.int16)"), USED + "its train images are int16 where uint8 is expected, 0 to 255$"),
    "channels last": (
        load(images="images(n).reshape(n, 8, 8, 1)"),
        USED + "its train images have the shape 60×8×8×1 where N×1×8×8 is expected",
    ),
    "a torch tensor": (
        load(images="__import__('torch').from_numpy(images(n))"),
        USED + "its train images are a torch.Tensor where a numpy array is expected",
    ),
    "a list": (load(images="list(images(n))"), USED + "its train images are a list where a numpy array is expected"),
    "a single number": (load(images="np.uint8(3) * np.ones((), np.uint8)"), USED + "its train images "),
    "a tuple": (load(result="(images(n), labels(n))"), USED + "load gives a tuple where an orchestrator.contracts.Labelled is"),
    "nothing": (load(result="None"), USED + "load gives None where an orchestrator.contracts.Labelled is expected"),
    "float labels": (load(labels="labels(n) / 1"), USED + "its train labels are float64 where whole numbers are expected"),
    "one-hot labels": (load(labels="np.eye(3, dtype=int)[labels(n)]"), USED + "its train labels have the shape 60×3 where N is"),
    "labels from 1": (load(labels="labels(n) + 1"), USED + "the label 3 of its train image 2 is none of 0 to 2"),
    "a negative label": (load(labels="labels(n) - 1"), USED + "the label -1 of its train image 0 is none of 0 to 2"),
    "a label too many": (load(labels="labels(n + 1)"), USED + "it has 61 labels for 60 train images"),
    "labels of the test": (
        load(labels="labels(n) + 3 * (part == 'test')"),
        USED + "the label 3 of its test image 0 is none of 0 to 2",
    ),
    "fewer images": (load("images(n - 1)", "labels(n - 1)"), USED + "it has 59 training images, and its info says 60"),
    "no test images": (
        load("images(n)[: n if part == 'train' else 0]", "labels(n)[: n if part == 'train' else 0]"),
        USED + "it has no test images",
    ),
    "nothing left out": (
        "names = DataSetNames(left_out=lambda folder: None)",
        USED + "its left_out is None where an orchestrator.contracts.LeftOut is expected",
    ),
    "left out without reasons": (
        "names = DataSetNames(left_out=lambda folder: LeftOut(damaged=['a.png']))",
        USED + "damaged in its left_out is .* where names of files and reasons are expected",
    ),
    "two means": (info(mean="(0.5, 0.5)"), USED + "mean in its info has 2 numbers for 1 channel"),
    "no mean": (info(mean="0.5"), USED + "mean in its info is 0.5 where a tuple of finite numbers is expected"),
    "NaN as mean": (info(mean="(float('nan'),)"), USED + r"mean in its info is \(nan,\) where a tuple of finite numbers"),
    "no deviation": (info(std="(0.0,)"), USED + r"std in its info is \(0.0,\) where a tuple of positive numbers is expected"),
    "no train images": (
        info(validation_images="30", confirmation_images="30"),
        USED + "validation_images and confirmation_images in its info, 60 together, leave nothing of 60 train_images",
    ),
    "no validation": (
        info(validation_images="0"),
        USED + "validation_images in its info is 0 where a whole number of at",
    ),
    "no batch sizes": (info(batch_sizes="()"), USED + r"batch_sizes in its info is \(\) where a tuple of whole numbers"),
    "half a class": (info(classes="2.5"), USED + "classes in its info is 2.5 where a whole number of at least 2 is expected"),
    "one class": (info(classes="1"), USED + "classes in its info is 1 where a whole number of at least 2 is expected"),
    "an info of its own": (
        method("info(self, folder)", "return {'classes': 3}"),
        USED + "its info is a dict where an orchestrator.contracts.DataSetInfo is expected",
    ),
    "an error in info": (method("info(self, folder)", "return {}['x']"), r"failed: KeyError: 'x' \(.*mine.*\.py, line 32\)"),
    "an error in check": (method("check(self, folder)", "raise ValueError('a\\nb')"), r"failed: ValueError: a b \(.*, line 32\)"),
    "an error in load": (
        method("load(self, folder, part)", "return open('gone.npy')"),
        r"failed: FileNotFoundError: .*gone.npy.* \(.*, line 32\)",
    ),
    "an end in load": (method("load(self, folder, part)", "raise SystemExit(0)"), r"failed: SystemExit: 0 \(.*, line 32\)"),
    "names that fail": (
        "@property\n    def names(self): raise AttributeError('no names')",
        r"has no property `names`|failed: AttributeError: no names",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(
    what: str, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed, says = WRONG[what]
    name = write(own, changed)
    (tmp_path / "submission.csv").write_text("id,label\n" + "".join(f"{number},0\n" for number in range(9)))
    before = content(tmp_path)
    commands: list[tuple[str, ...]] = [
        ("study", "part1", "--dataset", name, "--trials", "1", "--mirror", "off", "--executor", "in-process"),
        ("data", "verify", name),
    ]
    if "train" not in says and what not in ("fewer images", "an error in check"):
        commands.append(("submit", "--check", "submission.csv", "--dataset", name))
    if "left_out" in says:  # which only `data verify` looks at
        commands = commands[1:2]
    for words in commands:
        message = refused(capsys, 65, *words)
        assert re.search(f"^error: data set '{name}'.* {says}", message, re.MULTILINE), message
        assert len(message.splitlines()) == 1
        assert content(tmp_path) == before


@pytest.mark.slow
def test_a_sound_one_of_unusual_types_is_trained_on(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = load(images="np.asfortranarray(images(n))", labels="labels(n).astype(np.uint8)") + "\n    "
    changed += info(mean="(np.float32(0.5),)", train_images="np.int64(60)", batch_sizes="[np.int64(4)]")
    name = write(own, changed)
    words = ("study", "part1", "--dataset", name, "--epochs", "1", "--trials", "1", "--mirror", "off", "--executor", "in-process")
    result = call(capsys, *words, "--device", "cpu")
    assert result.code == 0, result.messages
    result = call(capsys, "data", "verify", name)
    assert (result.code, result.output) == (0, "")
    assert "each class has 20 images to train on and 3 for the test" in result.messages


def test_verify_tells_images_per_class_and_which_class_has_none(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write(own, load(labels="labels(n) % 2"))
    result = call(capsys, "data", "verify", name)
    assert result.code == 0
    assert result.messages.splitlines()[1:] == [
        "  0: 40 to train on, 6 for the test",
        "  1: 20 to train on, 3 for the test",
        "  2: 0 to train on, 0 for the test",
        "warning: no model can learn these classes, which have no training image: 2",
    ]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("classes=lambda folder: ['a', 'b']", "it has 2 names for 3 classes"),
        ("classes=lambda folder: ['a', 'b', 'a']", "two of its classes are named 'a'"),
        ("classes=lambda folder: 'abc'", "the names of its classes are a str where a sequence of texts is expected"),
        ("classes=lambda folder: [1, 2, 3]", "one of the names of its classes is an int where a text is expected"),
    ],
)
def test_names_are_as_many_as_classes_and_all_different(names: str, says: str, own: Path, tmp_path: Path) -> None:
    source = plugins.dataset(write(own, f"names = DataSetNames({names})"))
    assert source.names.classes is not None
    with pytest.raises(BadData, match=says):
        source.names.classes(tmp_path)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("unlabelled=lambda folder: 'test'", "its unlabelled images are a str where an orchestrator.contracts.ImageFiles is"),
        (
            "image_files=lambda folder: ['x']",
            "its image_files give a list where an orchestrator.contracts.ImageFiles is expected",
        ),
        ("image_files=lambda folder: folder.x", "failed: AttributeError"),
        (
            "image_files=lambda folder: ImageFiles(folder=folder, names=('x',) * 2, read=iter)",
            "two of its image files are named 'x'",
        ),
    ],
)
def test_what_it_says_of_files_is_checked(names: str, says: str, own: Path, tmp_path: Path) -> None:
    found = plugins.dataset(write(own, f"names = DataSetNames({names})")).names
    use = found.unlabelled or found.image_files
    assert use is not None
    with pytest.raises(BadData, match=says):
        use(tmp_path)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ("[1]", "it reads image files as an int where an orchestrator.contracts.ReadImages is expected"),
        ("[ReadImages(names=['x'], images=images(2))]", "it reads 2 images from 1 image file"),
        ("[ReadImages(names=['z'], images=images(1))]", "it reads an image file twice, or one that it was not asked for"),
        ("[ReadImages(names=['x', 'x'], images=images(2))]", "it reads an image file twice"),
        ("[ReadImages(names=['x'], images=images(1))] * 2", "it reads an image file twice"),
        ("[ReadImages(names=['x', 'y'], images=images(2) / 255)]", "as float64, 2×1×8×8 where uint8 is expected, N×C×H×W"),
        ("[ReadImages(names=['x'], images=[1])]", "as a list where uint8 is expected"),
        ("[ReadImages(names=['x'], images=images(1))]", "it does not say what its image file 'y' holds"),
        ("map(len, [1])", "failed: TypeError"),
        ("[].x", "failed: AttributeError"),
    ],
)
def test_the_image_files_that_it_reads_are_checked(parts: str, says: str, own: Path, tmp_path: Path) -> None:
    files = f"image_files=lambda folder: ImageFiles(folder=folder, names=('x', 'y'), read=lambda names: {parts})"
    read = plugins.dataset(write(own, f"names = DataSetNames({files})")).names.image_files
    assert read is not None
    with pytest.raises(BadData, match=re.escape(says)):
        list(read(tmp_path).read(("x", "y")))


def test_errors_that_are_nobodys_fault_are_not_blamed_on_a_plug_in(tmp_path: Path) -> None:
    with pytest.raises(MemoryError), blame_plugin("data set 'mine'"):
        raise MemoryError
    with pytest.raises(DiskError, match=r"data set 'mine' failed: OSError: .*No space left"), blame_plugin("data set 'mine'"):
        raise OSError(28, "No space left on device")
    with pytest.raises(BadData, match="failed: FileNotFoundError"), blame_plugin("data set 'mine'"):
        (tmp_path / "gone").read_bytes()
