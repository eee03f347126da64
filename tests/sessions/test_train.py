"""`orchestrate train`: one recipe as a run like any other, that can be killed, repeated, ranked and predicted with."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

import orchestrator
from benchmarks.training.setting import has_bfloat16
from orchestrator import plugins
from orchestrator.recipe import Recipe
from orchestrator.record import FailureKind, Kind, RunRecord, Status
from orchestrator.storage import checkpoint
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.fault_injection import VARIABLE, CrashPoint
from orchestrator.support.serialization import to_plain
from tests.helpers.image_folders import pictures
from tests.helpers.in_process_cli import call, refused
from tests.helpers.in_process_study import without_time
from tests.helpers.paths import PLUGINS
from tests.helpers.subprocess_cli import run, start, wait_for
from tests.helpers.training_runs import same
from tests.helpers.wandb_files import read_folder

QUIET = ("--mirror", "off", "--executor", "in-process")


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


def recipe_file(folder: Path, name: str = "mine", *, trainer: str = "curve", epochs: int = 4, **params: Any) -> Path:
    """A recipe for handwritten digits."""
    file = folder / f"{name}.json"
    recipe = Recipe(plan=name, trainer=trainer, dataset="digits", epochs=epochs, seed=3, params=params)
    file.write_text(json.dumps(to_plain(recipe)))
    return file


def study(tmp_path: Path, name: str = "train") -> StudyFolder:
    return RunsFolder(tmp_path / "runs").known(name)


def single(tmp_path: Path, name: str = "train") -> RunRecord:
    (record,) = study(tmp_path, name).runs(Kind.SINGLE)
    return record


def numbers(folder: StudyFolder, record: RunRecord) -> list[Any]:
    return [without_time(epoch) for epoch in folder.folder(record).epochs()]


def test_a_recipe_is_trained_recorded_ranked_and_predicted_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tmp_path / "runs"
    better, worse = recipe_file(tmp_path, "better", learning_rate=0.03), recipe_file(tmp_path, "worse", learning_rate=0.9)
    for file in (worse, better):
        trained = call(capsys, "train", file, "--runs", runs, *QUIET)
        assert (trained.code, trained.output) == (0, "")
        assert re.findall(r"^epoch (\d)/4 ", trained.messages, re.MULTILINE) == ["1", "2", "3", "4"]
    folder = study(tmp_path)
    best, other = sorted(folder.runs(Kind.SINGLE), key=RunRecord.order)
    assert re.fullmatch(r"train/single/better-[0-9a-f]{8}", best.run_id)
    assert (best.status, best.epochs, best.number, best.reference) == (Status.COMPLETE, 4, 1, None)
    assert best.recipe.params["dropout"] == 0.0  # defaults are filled in
    assert best.provenance.study == folder.read().uuid
    assert best.test is None  # the test set is for retrains
    assert folder.folder(best).best_checkpoint.is_file()
    assert not folder.folder(best).last_checkpoint.exists()

    rows = json.loads(call(capsys, "leaderboard", "--runs", runs, "--format", "json").output)
    assert [(row["rank"], row["run"], row["kind"]) for row in rows] == [(1, best.run_id, "single"), (2, other.run_id, "single")]
    state = json.loads(call(capsys, "status", "--runs", runs, "--format", "json").output)
    assert state["singles"] == {best.run_id: "COMPLETE", other.run_id: "COMPLETE"}
    told = call(capsys, "status", "--runs", runs).output
    assert told.startswith("train: single runs, no search\n")
    assert f"{best.run_id}: COMPLETE, 4 of 4 epochs, best val_acc " in told
    assert call(capsys, "submit", best.run_id, "--runs", runs).code == 0
    assert folder.folder(best).submission.read_text().count("\n") == 180
    images = plugins.dataset("digits").load(tmp_path, "test").images
    assert orchestrator.load(best.run_id, runs_dir=runs)(images).shape == (179, 10)

    again = call(capsys, "train", better, "--runs", runs, *QUIET)
    assert again.code == 0
    assert "is trained already" in again.messages
    assert len(folder.runs()) == 2


@pytest.mark.slow
def test_a_printed_recipe_repeats_its_run_bit_for_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--runs", tmp_path / "runs", *QUIET)
    assert call(capsys, "study", "part1", "--dataset", "digits", "--epochs", "2", "--trials", "1", *words).code == 0
    printed = call(capsys, "recipe", "part1-digits/0", "--runs", tmp_path / "runs")
    (tmp_path / "again.json").write_text(printed.output)
    for name in ("train", "once-more"):
        assert call(capsys, "train", tmp_path / "again.json", "--study", name, *words).code == 0
    (trial,) = study(tmp_path, "part1-digits").runs(Kind.TRIAL)
    weights = {}
    for name, record in (("part1-digits", trial), ("train", single(tmp_path)), ("once-more", single(tmp_path, "once-more"))):
        folder = study(tmp_path, name)
        assert record.recipe == trial.recipe
        assert record.best == trial.best
        assert numbers(folder, record) == numbers(study(tmp_path, "part1-digits"), trial)
        weights[name] = orchestrator.load(record.run_id, runs_dir=tmp_path / "runs")
    images = plugins.dataset("digits").load(tmp_path, "test").images
    first, *others = [predictor(images) for predictor in weights.values()]
    assert all((first == other).all() for other in others)
    assert re.fullmatch("train/single/part1-[0-9a-f]{8}", single(tmp_path).run_id)


def test_another_seed_is_another_run_and_the_first_ones_weights_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--runs", tmp_path / "runs", *QUIET)
    file = recipe_file(tmp_path, trainer="cnn", epochs=1, batch_size=256)
    assert call(capsys, "train", file, *words).code == 0
    folder, first = study(tmp_path), single(tmp_path)
    weights = folder.folder(first).best_checkpoint.read_bytes()
    assert call(capsys, "train", file, "--seed", "4", *words).code == 0
    kept, second = sorted(folder.runs(Kind.SINGLE), key=lambda record: record.number)
    assert kept == first
    assert folder.folder(first).best_checkpoint.read_bytes() == weights
    assert (first.recipe.seed, second.recipe.seed) == (3, 4)
    assert numbers(folder, first) != numbers(folder, second)


def test_a_single_run_is_retrained_for_as_long_and_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--runs", tmp_path / "runs", *QUIET)
    assert call(capsys, "train", recipe_file(tmp_path), *words).code == 0
    record = single(tmp_path)
    assert call(capsys, "retrain", record.run_id, *words).code == 0
    (retrained,) = study(tmp_path).runs(Kind.RETRAIN)
    assert (retrained.epochs, retrained.recipe.split.train_on) == (4, "train+confirmation")
    assert retrained.test is not None


def test_a_run_that_fails_says_why_and_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = recipe_file(tmp_path, misbehaviour="diverge")
    result = call(capsys, "train", file, "--runs", tmp_path / "runs", *QUIET)
    assert result.code == 1
    record = single(tmp_path)
    assert (
        f"error: {record.run_id} failed (diverged: train_loss is nan); the recipe is the cause, so it would fail again"
        in result.messages
    )
    assert (record.status, record.failure.kind if record.failure else None) == (Status.FAILED, FailureKind.DIVERGED)
    row, *none = json.loads(call(capsys, "leaderboard", "--runs", tmp_path / "runs", "--format", "json").output)
    assert none == []
    assert (row["rank"], row["state"], row["failure"]) == (None, "FAILED", "diverged")


def test_a_run_at_chance_is_ended_and_marked_instead_of_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--runs", tmp_path / "runs", *QUIET)
    told = call(capsys, "train", recipe_file(tmp_path, epochs=9, misbehaviour="chance", at_epoch=1), *words)
    assert told.code == 1
    assert "at chance: after 1,000 steps the training loss is 2.31; chance-level loss is ln(10) = 2.30" in told.messages
    record = single(tmp_path)
    assert record.status is Status.FAILED
    assert record.failure is not None
    assert record.failure.kind is FailureKind.DIVERGED
    assert record.epochs == 1
    (row,) = json.loads(call(capsys, "leaderboard", "--runs", tmp_path / "runs", "--format", "json").output)
    assert (row["rank"], row["state"], row["failure"]) == (None, "FAILED", "diverged")


@pytest.mark.slow
def test_a_killed_run_is_carried_on_by_the_same_command_to_the_same_numbers(tmp_path: Path) -> None:
    # Each epoch says that it took long enough for a checkpoint.
    file = recipe_file(tmp_path, epochs=20, seconds=0.1, told_seconds=60.0)
    words: list[str | Path] = ["train", file, "--runs", tmp_path / "runs", "--data-dir", tmp_path]
    killed = start(*words)
    epochs = (tmp_path / "runs").glob
    wait_for(lambda: any(file.read_bytes().count(b"\n") > 3 for file in epochs("train/single/*/epochs.jsonl")), "four epochs")
    killed.kill()
    killed.communicate()
    before = single(tmp_path)
    assert before.status is Status.RUNNING
    _, messages = run(*words)
    assert "resumed" in messages
    told = [int(number) for number in re.findall(r"^epoch (\d+)/20 ", messages, re.MULTILINE)]
    assert told[0] >= 3  # nothing that was checkpointed is trained again: the last of it is shown
    after = single(tmp_path)
    assert (after.status, after.epochs, after.attempt) == (Status.COMPLETE, 20, 2)
    run(*words[:2], "--runs", tmp_path / "quiet", "--mirror", "off", "--executor", "in-process")
    folder = RunsFolder(tmp_path / "quiet").known("train")
    (undisturbed,) = folder.runs(Kind.SINGLE)
    assert numbers(study(tmp_path), after) == numbers(folder, undisturbed)
    (copy,) = read_folder(study(tmp_path).path).values()
    assert (copy.group, copy.job_type, len(copy.history)) == ("train", "single", 20)
    assert copy.config["recipe" if "recipe" in copy.config else "plan"] == "mine"
    run("mirror", "train", "--runs", tmp_path / "runs")


@pytest.mark.slow
def test_a_killed_network_has_the_weights_of_an_undisturbed_one_wherever_it_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """ResNet-18, in half precision where the processor can, with mixed images, dropout and averaged weights: to the last bit."""
    chosen = "bfloat16" if has_bfloat16() else "float32"  # without it, a step of this network in bfloat16 takes seconds
    data = f"folder:{pictures(tmp_path / 'pictures', classes=4, images=24)}?size=8"
    params = {
        "architecture": "resnet18",
        "stem": "3x3",
        "batch_size": 16,
        "dropout": 0.3,
        "mixing": [{"name": "mixup", "probability": 0.5}, {"name": "cutmix", "probability": 0.3}],
        "augmentation": [{"name": "crop", "padding": 2}, "flip", "trivial-augment"],
        "averaging": "ema",
        "precision": chosen,
    }
    file = tmp_path / "mine.json"
    recipe = Recipe(plan="mine", trainer="resnet", dataset=data, epochs=5, seed=3, params=params)
    file.write_text(json.dumps(to_plain(recipe)))
    words: list[str | Path] = ["train", file, "--data-dir", tmp_path / "data", "--mirror", "off"]
    folder = RunsFolder(tmp_path / "runs").study("train")
    # It is asked to stop, and killed once the checkpoint is written: there is one, however fast it trains.
    killed = start(*words, "--runs", tmp_path / "runs", variables={VARIABLE: f"{tmp_path}|{CrashPoint.END_HEARD}|1"})
    wait_for(lambda: any(folder.path.glob("single/*/epochs.jsonl")), "an epoch")
    run("stop", "train", "--runs", tmp_path / "runs")
    _, messages = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, messages
    (record,) = folder.runs(Kind.SINGLE)
    assert record.status is Status.RUNNING
    assert folder.folder(record).last_checkpoint.is_file()
    run(*words, "--runs", tmp_path / "runs")
    assert call(capsys, *words, "--runs", tmp_path / "quiet", "--executor", "in-process").code == 0
    results = []
    for name in ("runs", "quiet"):
        folder = RunsFolder(tmp_path / name).known("train")
        (record,) = folder.runs(Kind.SINGLE)
        model = checkpoint.read(folder.folder(record).best_checkpoint)["snapshot"]["model"]
        results.append((record.attempt, record.provenance.precision, numbers(folder, record), model))
    (attempts, precision, figures, weights), (once, _, undisturbed, expected) = results
    assert (attempts, once, precision) == (2, 1, chosen)
    assert figures == undisturbed
    assert same(weights, expected)


@pytest.mark.slow
def test_a_run_that_crashes_again_and_again_comes_to_the_same_and_is_copied_whole(tmp_path: Path) -> None:
    file = recipe_file(tmp_path, epochs=6, told_seconds=60.0)
    words: list[str | Path] = ["train", file, "--runs", tmp_path / "runs", "--data-dir", tmp_path]
    for point, count in (
        (CrashPoint.STUDY_RENAMED, 1),
        (CrashPoint.RECORD_RENAMED, 1),
        (CrashPoint.JOB_SENT, 1),
        (CrashPoint.EPOCH_RECORDED, 3),
        (CrashPoint.END_HEARD, 1),
        (CrashPoint.END_RECORDED, 1),
    ):
        crashed = start(*words, variables={VARIABLE: f"{tmp_path}|{point}|{count}"})
        _, messages = crashed.communicate(timeout=120)
        assert crashed.returncode == -signal.SIGKILL, messages
        assert (tmp_path / point).exists()
    _, messages = run(*words)
    assert "is trained already" in messages
    record = single(tmp_path)
    assert (record.status, record.epochs) == (Status.COMPLETE, 6)
    assert not study(tmp_path).folder(record).last_checkpoint.exists()
    (copy,) = read_folder(study(tmp_path).path).values()
    assert (copy.summary["state"], len(copy.history)) == ("COMPLETE", 6)
    run(*words[:2], "--runs", tmp_path / "quiet", "--mirror", "off", "--executor", "in-process")
    folder = RunsFolder(tmp_path / "quiet").known("train")
    (undisturbed,) = folder.runs(Kind.SINGLE)
    assert numbers(study(tmp_path), record) == numbers(folder, undisturbed)


def test_a_second_command_is_told_who_is_at_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, other = recipe_file(tmp_path), recipe_file(tmp_path, "other")
    assert call(capsys, "train", file, "--runs", tmp_path / "runs", *QUIET).code == 0
    with study(tmp_path).lock():
        refused(capsys, 75, "train", other, "--runs", tmp_path / "runs", *QUIET, says=("is being run by process", "try again"))
        elsewhere = call(capsys, "train", other, "--study", "second", "--runs", tmp_path / "runs", *QUIET)
    assert elsewhere.code == 0
    assert single(tmp_path, "second").status is Status.COMPLETE


def test_commands_that_are_about_searches_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--runs", tmp_path / "runs")
    assert call(capsys, "train", recipe_file(tmp_path), *words, *QUIET).code == 0
    refused(capsys, 66, "retrain-best", *words, *QUIET, says=("there is no study", "orchestrate study PLAN"))
    refused(capsys, 2, "retrain-best", "train", *words, *QUIET, says=("holds single runs", "orchestrate retrain train/single/"))
    refused(capsys, 2, "enqueue", "train", "dropout=0.1", *words, says=("holds single runs", "orchestrate train NAME"))
    refused(capsys, 78, "study", "curves", "--study", "train", "--trials", "2", *words, *QUIET, says=("--study NAME",))
    refused(capsys, 2, "mirror", "train", "--storage", "sqlite:///x.db", *words, says=("leave out --storage",))
    assert "train is not running" in call(capsys, "stop", "train", *words).messages
    assert call(capsys, "study", "curves", "--trials", "2", *words, *QUIET).code == 0
    assert call(capsys, "train", recipe_file(tmp_path, "later"), *words, *QUIET).code == 0
    assert RunsFolder(tmp_path / "runs").latest().name == "train"
    assert call(capsys, "retrain-best", *words, *QUIET).code == 0  # of the study, though `train` was worked on later
    assert [record.kind for record in study(tmp_path, "curves").runs(Kind.RETRAIN)] == [Kind.RETRAIN]


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        ({"trainer": "crve"}, 2, "unknown trainer 'crve'; known: curve"),
        ({"dataset": "digit"}, 2, "unknown data set 'digit'; known: digits"),
        ({"params": {"learning_rat": 0.1}}, 2, "unknown hyperparameter 'learning_rat'; known: learning_rate"),
        ({"params": {"learning_rate": "high"}}, 2, "'learning_rate' cannot be 'high'"),
        ({"epochs": 1.5}, 65, "epochs: 1.5 is not int"),
    ],
)
def test_a_recipe_that_cannot_be_trained_is_refused_before_anything_is_written(
    content: dict[str, Any], code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = recipe_file(tmp_path)
    file.write_text(json.dumps({**json.loads(file.read_text()), **content}))
    refused(capsys, code, "train", file, "--runs", tmp_path / "runs", *QUIET, says=(says,))
    assert not (tmp_path / "runs").exists()


def test_missing_weights_are_named_with_both_ways_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    file = recipe_file(tmp_path, trainer="resnet", architecture="resnet50", weights="IMAGENET1K_V1")
    words = ("train", file, "--runs", tmp_path / "runs", "--data-dir", tmp_path / "data", *QUIET)
    says = ("orchestrate data fetch resnet50-IMAGENET1K_V1", "by hand", str(tmp_path / "data" / "weights"))
    refused(capsys, 66, *words, says=says)
    assert not (tmp_path / "runs").exists()
