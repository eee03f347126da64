"""A competition of one's own: classes in train/, images without classes in a flat test/, and a model that was trained on it."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import orchestrator
from orchestrator.storage.runs import RunsFolder
from orchestrator.submission.submission_file import csv_table
from tests.helpers.image_folders import digit_images, enlarged, write
from tests.helpers.in_process_cli import Result, call

# In the order of the rows: by the bytes of the names, with each accent in one character.
NAMES = (
    *(" blank.png", "01.png", "02.PNG", "10.png", "2.png", "=1+1.png", "a,b.png", "new\nline.png"),
    *('q"uo.te.png', "r\rn.png", "é.png"),
)
CLASSES = ("one", "two", "zero")


@dataclass(frozen=True)
class Competition:
    """A folder of images, which lies at one place, since its path is part of each recipe; and what was trained on it."""

    root: Path
    runs: Path
    data: Path
    retrain: str  # the run's name
    said: str  # by the retrain

    @property
    def test(self) -> Path:
        return self.root / "test"

    @property
    def where(self) -> tuple[str | Path, ...]:
        return ("--runs", self.runs, "--data-dir", self.data)

    @property
    def submission(self) -> Path:
        return RunsFolder(self.runs).find_run(self.retrain)[1].path / "submission.csv"

    def submit(self, capsys: pytest.CaptureFixture[str], *words: str | Path) -> Result:
        result = call(capsys, "submit", *words, "--device", "cpu", *self.where)
        assert (result.code, result.output) == (0, ""), result.messages
        return result

    def checked(self, capsys: pytest.CaptureFixture[str], file: Path, *words: str | Path) -> str:
        result = call(capsys, "submit", "--check", file, "--data-dir", self.data, *words)
        assert (result.code, result.messages) == (0, "")
        return result.output


def write_flat(folder: Path) -> None:
    """Eleven digits under odd names, as files of 32×32 pixels."""
    digits = [image for label in range(3) for image in digit_images(label, 16)[12:]]
    for number, name in enumerate(NAMES):
        write(folder / name, enlarged(digits[number * 5 % 12], 32, 32))


def write_sample(file: Path, label: str) -> None:
    """A sample submission with ids without endings, in another order than that of the names."""
    ids = [Path(name).stem for name in reversed(NAMES)]
    file.write_text(csv_table(["Image", "Class"], [(name, label) for name in ids]), newline="", encoding="utf-8")


def rows(file: Path) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream, strict=True))


def pixels(file: Path) -> Any:
    with PIL.Image.open(file) as picture:
        return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)


def predicted(entered: Competition, folder: Path) -> dict[str, str]:
    """What the model predicts, of each file of a folder, which Pillow reads."""
    files = sorted(folder.iterdir())
    images = np.stack([pixels(file) for file in files])
    chosen = orchestrator.load(entered.retrain, runs_dir=entered.runs)(images).argmax(1).tolist()
    classes = orchestrator.class_names(entered.retrain, runs_dir=entered.runs)
    return {file.name: classes[label] for file, label in zip(files, chosen, strict=True)}
