"""A model's numbers never get the names of other classes or images: it is not used on other data, and all files stay."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import orchestrator
from orchestrator.data_identity import DataIdentity, read_data
from orchestrator.executors.in_process import InProcess
from orchestrator.jobs import Event, Failed, Finished, Job, Paused
from orchestrator.record import FailureKind, Kind
from orchestrator.storage import checkpoint
from orchestrator.storage.runs import RunsFolder
from orchestrator.support.serialization import from_plain
from orchestrator.testing.executor import job, until
from tests.helpers.image_folders import digit_images, enlarged, pictures, write
from tests.helpers.in_process_cli import call, content, exit_code, refused
from tests.helpers.paths import PLUGINS

QUIET = ("--mirror", "off", "--executor", "in-process")
CLASSES = ("one", "two", "zero")

SETTINGS: dict[str, Any] = {"batch_size": 8, "blocks": [{"channels": 4}], "hidden": [], "augmentation": []}

PLAN = f"""
from optuna.distributions import FloatDistribution

from orchestrator.contracts import StudyPlan
from orchestrator.recipe import Recipe

DATASET = "digits"


def plan(dataset, info):
    return StudyPlan(
        recipe=Recipe(plan="small", trainer="cnn", dataset=dataset, epochs=1, seed=0, params={SETTINGS!r}),
        space={{"learning_rate": FloatDistribution(1e-3, 1e-1, log=True)}},
        epochs=1, confirm_epochs=1, retrain_epochs=1,
    )
"""


@dataclass(frozen=True)
class Trained:
    """What was trained on the images in `root`, which lie at one place, since their path is part of each recipe."""

    root: Path
    runs: Path
    data: Path
    retrain: str  # names of runs
    single: str
    recipe: Path
    plan: Path

    @property
    def where(self) -> tuple[str | Path, ...]:
        return ("--runs", self.runs, "--data-dir", self.data)

    def file(self, run: str, name: str = "submission.csv") -> Path:
        return RunsFolder(self.runs).find_run(run)[1].path / name

    def kept(self) -> dict[str, bytes]:
        """Every submission, table, record and checkpoint; study.json notes that these runs are a copy."""
        kept = {".csv", ".pt", ".json", ".jsonl"}
        return {
            name: held
            for name, held in content(self.runs).items()
            if Path(name).suffix in kept and Path(name).name != "study.json"
        }


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)
    monkeypatch.delenv("ORCHESTRATE_STORAGE", raising=False)


def write_recipe(file: Path, dataset: str) -> None:
    file.write_text(json.dumps({"plan": "p", "trainer": "cnn", "dataset": dataset, "epochs": 1, "seed": 1, "params": SETTINGS}))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A study of two trials, a retrain and a single run, each with its submission."""
    folder = tmp_path_factory.mktemp("labels")
    root = folder / "images"
    pictures(root / "train", images=8)
    for label, name in enumerate(("zero", "one", "two")):
        for number, image in enumerate(digit_images(label, 11)[8:]):
            write(root / "test" / name / f"{number}.png", image)
    shutil.copytree(root, folder / "untouched")
    recipe = folder / "recipe.json"
    write_recipe(recipe, f"folder:{root}")
    plan = folder / "plan.py"
    plan.write_text(PLAN)
    where = ("--runs", folder / "runs", "--data-dir", folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PLUGINS)
        study = ("study", plan, "--dataset", f"folder:{root}", "--study", "s", "--trials", "2")
        for words in (study, ("retrain-best",), ("train", recipe)):
            assert exit_code(*words, *where, *QUIET) == 0
        store = RunsFolder(folder / "runs")
        (retrain,), (single,) = store.known("s").runs(Kind.RETRAIN), store.known("train").runs(Kind.SINGLE)
        for run in ("s/0", single.run_id):
            assert exit_code("submit", run, *where, "--device", "cpu") == 0
    return Trained(root, folder / "runs", folder / "data", retrain.run_id, single.run_id, recipe, plan)


@pytest.fixture
def trained(original: Trained, tmp_path: Path) -> Iterator[Trained]:
    """The same with runs of its own; its images may be changed."""
    runs = tmp_path / "runs"
    shutil.copytree(original.runs, runs)
    yield replace(original, runs=runs)
    shutil.rmtree(original.root)
    shutil.copytree(original.root.parent / "untouched", original.root)


def renamed(before: str, now: str) -> Callable[[Path], None]:
    def rename(root: Path) -> None:
        for part in ("train", "test"):
            (root / part / before).rename(root / part / now)

    return rename


def add_a_class(root: Path) -> None:
    for part in ("train", "test"):
        shutil.copytree(root / part / "zero", root / part / "another")


def remove_a_class(root: Path) -> None:
    for part in ("train", "test"):
        shutil.rmtree(root / part / "two")


def swap_two_images(root: Path) -> None:
    one, two = root / "train" / "one" / "00.png", root / "train" / "two" / "00.png"
    content_of_one = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content_of_one)


def alter_an_image(root: Path) -> None:
    write(root / "train" / "one" / "01.jpg", enlarged(digit_images(3, 1)[0], 40, 48))


TRAINING: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a class is renamed and comes last": (renamed("one", "zzz"), "its classes have changed ('one' is gone, 'zzz' is new)"),
    "a class is renamed in its place": (renamed("two", "twq"), "its classes have changed ('two' is gone, 'twq' is new)"),
    "a class is added": (add_a_class, "its classes have changed ('another' is new)"),
    "a class is removed": (remove_a_class, "its classes have changed ('two' is gone)"),
    "two images are swapped": (swap_two_images, "its training images or their labels have changed"),
    "an image is replaced": (alter_an_image, "its training images or their labels have changed"),
}
TEST: dict[str, Callable[[Path], Any]] = {
    "a test image is added": lambda root: write(root / "test" / "one" / "x.png", digit_images(1, 1)[0]),
    "a test image is removed": lambda root: (root / "test" / "one" / "0.png").unlink(),
    "a test image is renamed": lambda root: (root / "test" / "one" / "0.png").rename(root / "test" / "one" / "9.png"),
}


@pytest.mark.parametrize(
    "change",
    [pytest.param(change, marks=[] if "renamed" in change or "swapped" in change else pytest.mark.slow) for change in TRAINING],
)
def test_a_model_is_not_used_on_other_data(change: str, trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    alter, what = TRAINING[change]
    alter(trained.root)
    before = trained.kept()
    for run, words in (
        (trained.retrain, ("submit", trained.retrain, "--device", "cpu")),
        (trained.retrain, ("submit", "--device", "cpu")),
        (trained.single, ("submit", trained.single, "--device", "cpu")),
        ("s/trials/0000", ("submit", "s/0", "--device", "cpu")),
    ):
        refused(capsys, 65, *words, *trained.where, says=(f"is not what {run} was trained on: {what}", "Nothing was written"))
    check = ("submit", "--check", trained.file(trained.retrain), "--data-dir", trained.data)
    refused(capsys, 65, *check, says=(f"is not what {trained.retrain} was trained on: {what}",))
    says = (f"is not what {trained.single} was trained on: {what}", "--study NAME")
    refused(capsys, 65, "train", trained.recipe, *trained.where, *QUIET, says=says)
    assert trained.kept() == before


@pytest.mark.slow
@pytest.mark.parametrize("change", ["a class is renamed in its place", "two images are swapped"])
def test_neither_a_study_nor_its_retrain_goes_on_with_other_data(
    change: str, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    alter, what = TRAINING[change]
    alter(trained.root)
    before = trained.kept()
    again = call(capsys, "retrain-best", "s", *trained.where, *QUIET)
    assert again.code == 65
    assert f"is not what {trained.retrain} was trained on: {what}" in again.messages
    assert trained.kept() == before
    more = call(capsys, "study", trained.plan, "--study", "s", "--trials", "3", *trained.where, *QUIET)
    assert (more.code, "have changed since the other runs of this study were trained" in more.messages) == (65, True)


@pytest.mark.parametrize("change", TEST)
def test_a_model_does_not_predict_other_test_images(change: str, trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    TEST[change](trained.root)
    before = trained.kept()
    for run in (trained.retrain, trained.single):
        says = (f"is not what {run} was trained on: its test images have other names",)
        refused(capsys, 65, "submit", run, "--device", "cpu", *trained.where, says=says)
        refused(capsys, 65, "submit", "--check", trained.file(run), "--data-dir", trained.data, says=says)
    assert trained.kept() == before


def test_what_is_only_trained_never_sees_the_test_images(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    TEST["a test image is added"](trained.root)
    for words in (("study", trained.plan, "--study", "s", "--trials", "3"), ("train", trained.recipe)):
        assert call(capsys, *words, *trained.where, *QUIET).code == 0


def test_a_model_does_not_predict_other_test_images_than_it_was_measured_on(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    write(trained.root / "test" / "one" / "0.png", digit_images(7, 1)[0])
    before = trained.kept()
    says = (f"is not what {trained.retrain} was trained on: its test images or their labels have changed",)
    refused(capsys, 65, "submit", trained.retrain, "--device", "cpu", *trained.where, says=says)
    assert trained.kept() == before


def test_the_same_data_is_the_same_wherever_it_was_decoded(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    for file in trained.root.rglob("*.*"):
        os.utime(file)  # so that all is decoded again
    before = trained.kept()
    data = trained.runs.parent / "other"
    assert call(capsys, "submit", "--runs", trained.runs, "--data-dir", data, "--device", "cpu").code == 0
    assert call(capsys, "submit", "--check", trained.file(trained.retrain), "--data-dir", data).code == 0
    assert call(capsys, "retrain-best", "s", *trained.where, *QUIET).code == 0
    assert trained.kept() == before


def test_names_and_digests_travel_with_checkpoints_and_records(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    now = read_data(f"folder:{trained.root}", trained.data, "train", "test").identity
    assert now.classes == CLASSES
    retrain, single = (RunsFolder(trained.runs).find_run(run)[1] for run in (trained.retrain, trained.single))
    kept = {
        file: from_plain(DataIdentity, checkpoint.read(file)["data"])
        for file in (retrain.best_checkpoint, retrain.last_checkpoint)
    }
    assert kept == {retrain.best_checkpoint: now, retrain.last_checkpoint: replace(now, test_digest="")}
    assert from_plain(DataIdentity, checkpoint.read(single.best_checkpoint)["data"]) == replace(now, test_digest="")
    record = retrain.read()
    assert (record.provenance.data_digest, record.provenance.classes_digest) == (now.digest, now.classes_digest)
    assert record.test is not None
    assert record.test.digest == now.test_digest
    shutil.rmtree(trained.root)
    assert orchestrator.class_names(trained.retrain, runs_dir=trained.runs) == CLASSES
    assert orchestrator.class_names("s/0", runs_dir=trained.runs) == CLASSES
    trained.root.mkdir()


def test_a_submission_is_checked_together_with_its_names(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    check = ("submit", "--check", trained.file(trained.single), "--data-dir", trained.data)
    for name in ("classes.csv", "images.csv"):
        table = trained.file(trained.single, name)
        table.write_text(table.read_text().replace("one", "ant"))  # as a version left it that wrote names before it predicted
        refused(capsys, 65, *check, says=(f"{table} has other names than the model's",))
        assert call(capsys, "submit", trained.single, "--device", "cpu", *trained.where).code == 0
        assert call(capsys, *check).code == 0


@pytest.mark.parametrize("change", ["a class is renamed in its place", "a class is removed", "two images are swapped"])
def test_older_checkpoints_are_compared_by_their_record_and_tables(
    change: str, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder = RunsFolder(trained.runs).find_run(trained.retrain)
    state = checkpoint.read(folder.best_checkpoint)
    del state["data"]
    checkpoint.write(folder.best_checkpoint, state)
    record = folder.read()
    assert record.test is not None
    older = replace(record, test=replace(record.test, digest=""), provenance=replace(record.provenance, classes_digest=""))
    folder.write(older)
    assert call(capsys, "submit", trained.retrain, "--device", "cpu", *trained.where).code == 0
    assert orchestrator.class_names(trained.retrain, runs_dir=trained.runs) == CLASSES
    alter, what = TRAINING[change]
    alter(trained.root)
    before = trained.kept()
    refused(capsys, 65, "submit", trained.retrain, "--device", "cpu", *trained.where, says=(what,))
    assert trained.kept() == before


def folder_job(trained: Trained, folder: Path, *, epochs: int = 2, **more: Any) -> Job:
    made = job(folder, trainer="cnn", epochs=epochs, until=1, **SETTINGS)
    return replace(made, recipe=replace(made.recipe, dataset=f"folder:{trained.root}"), **more)


def events_of(executor: InProcess, *kinds: type[Event]) -> Event:
    return until(executor, *kinds)[-1]


@pytest.mark.parametrize("change", TRAINING)
def test_a_checkpoint_of_other_data_is_not_resumed_from(change: str, trained: Trained, tmp_path: Path) -> None:
    first = folder_job(trained, tmp_path)
    executor = InProcess(device="cpu", threads=1, data_folder=trained.data)
    executor.start(first)
    executor.stop(first.run_id, keep=True)
    assert isinstance(events_of(executor, Paused, Failed), Paused)
    alter, what = TRAINING[change]
    alter(trained.root)
    before = content(tmp_path)
    executor = InProcess(device="cpu", threads=1, data_folder=trained.data)
    executor.start(folder_job(trained, tmp_path, resume=True))
    failed = events_of(executor, Finished, Failed)
    assert isinstance(failed, Failed)
    assert failed.failure.kind is FailureKind.DATA
    assert f"last.pt was trained on other data than folder:{trained.root} is now: {what}" in failed.failure.message
    assert content(tmp_path) == before


@pytest.mark.parametrize("change", [*TEST, "a class is renamed and comes last"])
def test_nothing_is_measured_on_images_that_changed_since_the_training_began(
    change: str, trained: Trained, tmp_path: Path
) -> None:
    begun = folder_job(trained, tmp_path, measure="test", keep_last=True)
    executor = InProcess(device="cpu", threads=1, data_folder=trained.data)
    executor.start(begun)
    alter = TEST[change] if change in TEST else TRAINING[change][0]
    alter(trained.root)
    executor.grant(begun.run_id, 2)
    failed = events_of(executor, Finished, Failed)
    assert isinstance(failed, Failed)
    assert "has changed since the training began" in failed.failure.message
    assert (Path(begun.folder) / "last.pt").exists()
    assert not (Path(begun.folder) / "best.pt").exists()
