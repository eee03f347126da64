"""Names and images of a data set that belong together, also where the data set is the user's own."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import trainers.datasets
from orchestrator.data_identity import DataIdentity, read_data
from orchestrator.errors import BadData
from orchestrator.record import Provenance, RunRecord
from orchestrator.sessions import submit
from orchestrator.storage.runs import RunsFolder
from orchestrator.submission.out_of_distribution import OutOfDistribution, check_files
from tests.helpers.in_process_cli import call, content, refused

QUIET = ("--mirror", "off", "--executor", "in-process")
OWN_DATA_SET = '''
"""Two classes, as the file letters.npz of the data folder has them, unless NAME asks for something else."""

import numpy as np

from orchestrator.contracts import DataSetInfo, DataSetNames, Labelled


class Letters:
    loaded = 0

    @property
    def names(self):
        return DataSetNames(classes=self.classes, images=lambda folder, part: ["a.png", "b.png"])

    def classes(self, folder):
        held = tuple(np.load(folder / "letters.npz")["classes"])
        return {"letters": held, "moving": ("a", f"b{self.loaded}"), "unnamed": ("a",)}[__name__.split(".")[-1]]

    def info(self, folder):
        return DataSetInfo(classes=2, channels=1, size=4, mean=(0.5,), std=(0.5,), padding=1, flip=False, train_images=12,
            validation_images=2, confirmation_images=2, batch_sizes=(4,), trial_epochs=1, retrain_epochs=1)

    def check(self, folder):
        pass

    def fetch(self, folder):
        pass

    def load(self, folder, part):
        self.loaded += 1
        first = np.load(folder / "letters.npz")["first"]
        count = 12 if part == "train" else 2
        images = np.zeros((count, 1, 4, 4), dtype=np.uint8)
        images[first::2] = 255
        return Labelled(images=images, labels=np.arange(count) % 2)


dataset = Letters()
'''


@pytest.fixture
def own_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with data sets of the user, and two data folders that hold other images under the same name."""
    folder = tmp_path / "trainers" / "datasets"
    folder.mkdir(parents=True)
    for name in ("letters", "moving", "unnamed"):
        (folder / f"{name}.py").write_text(OWN_DATA_SET)
    for name, first, classes in (("here", 0, "ab"), ("elsewhere", 1, "ab"), ("reversed", 0, "ba")):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "letters.npz", first=first, classes=list(classes))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trainers.datasets, "__path__", list(trainers.datasets.__path__))
    return tmp_path


def trained(folder: Path, capsys: pytest.CaptureFixture[str]) -> RunRecord:
    """A run on the images here."""
    recipe = folder / "recipe.json"
    settings = {"batch_size": 4, "blocks": [{"channels": 4}], "hidden": [], "augmentation": []}
    recipe.write_text(
        json.dumps({"plan": "p", "trainer": "cnn", "dataset": "letters", "epochs": 1, "seed": 1, "params": settings})
    )
    assert call(capsys, "train", recipe, "--data-dir", "here", *QUIET).code == 0
    (record,) = RunsFolder(Path("runs")).known("train").runs()
    return record


def test_a_data_set_of_the_same_name_elsewhere_is_another_one(own_data_sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = trained(own_data_sets, capsys)
    assert call(capsys, "submit", record.run_id, "--device", "cpu").code == 0
    before = content(Path("runs"))
    other = ("submit", record.run_id, "--device", "cpu", "--data-dir")
    says = f"letters is not what {record.run_id} was trained on: its"
    refused(capsys, 65, *other, "elsewhere", says=(f"{says} training images or their labels have changed",))
    refused(capsys, 65, *other, "reversed", says=(f"{says} classes have changed (the same names in another order)",))
    assert content(Path("runs")) == before


def test_other_files_are_predicted_only_where_the_classes_are_the_same(
    own_data_sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = trained(own_data_sets, capsys)
    geometry = OutOfDistribution(files=1, severities=1, images=3, height=4, width=4, channels=1)
    np.save(own_data_sets / geometry.file_name(0), np.zeros(geometry.shape, dtype=np.uint8))
    what = submit.Target(dataset="letters", files=check_files(own_data_sets, geometry))
    folder = RunsFolder(Path("runs")).known("train").folder(record)
    submit.submit(folder, record, what, Path("here"), "cpu", lambda line: None)
    before = content(folder.path)
    with pytest.raises(BadData, match="the same names in another order"):
        submit.submit(folder, record, what, Path("reversed"), "cpu", lambda line: None)
    assert content(folder.path) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("moving", "moving changed while it was read"),
        ("unnamed", "data set 'unnamed' cannot be used: it has 1 name for 2 classes"),
    ],
)
def test_names_that_do_not_belong_to_the_images_are_refused(name: str, message: str, own_data_sets: Path) -> None:
    with pytest.raises(BadData, match=message):
        read_data(name, own_data_sets / "here", "train", "test")


def test_what_is_not_known_is_not_compared() -> None:
    known = DataIdentity(dataset="d", digest="1", classes=("a", "b"), test_names="2", test_digest="3")
    assert known.difference(known) == ""
    assert known.difference(DataIdentity(dataset="d")) == ""
    assert DataIdentity(dataset="d").difference(known) == ""
    assert known.difference(replace(known, classes=("b", "a"))) == "its classes have changed (the same names in another order)"
    many = replace(known, classes=tuple("cdefghij"))
    assert known.difference(many) == (
        "its classes have changed ('a' is gone, 'b' is gone, 'c' is new, 'd' is new, 'e' is new, …)"
    )
    assert Provenance(study="s").classes_digest == DataIdentity(dataset="d").classes_digest == ""
