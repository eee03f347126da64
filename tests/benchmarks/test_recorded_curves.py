"""The curves that are kept in the repository are of the runs that the recorder says, and the pruners are judged on them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.record_curves import EPOCHS, HYPERPARAMETERS, PACKED, RUNS, SCHEDULES, read_journal, recipe, subset
from benchmarks.replay.curves import ROOT, curves
from orchestrator import plugins
from orchestrator.search.spaces import contains


def test_runs_are_drawn_over_the_ranges_of_part1_half_with_each_schedule() -> None:
    recipes = [recipe(number) for number in range(8)]
    assert recipes == [recipe(number) for number in range(8)]
    assert len({made.configuration() for made in recipes}) == 8
    assert [made.params["schedule"]["name"] for made in recipes] == [*SCHEDULES] * 4
    _, dataset, make = plugins.plan("part1")
    space = make(dataset, plugins.dataset(dataset).info(Path("nowhere"))).space
    assert set(space) == set(HYPERPARAMETERS)
    assert all(contains(space[name], made.params[name]) for made in recipes for name in space)


def test_a_journal_line_that_was_cut_off_is_recorded_again(tmp_path: Path) -> None:
    journal = tmp_path / "curves.jsonl"
    assert read_journal(journal) == {}
    whole = json.dumps({"number": 0, "val_acc": [0.1]}) + "\n"
    journal.write_text(whole + whole.replace("0,", "1,")[:9])
    assert read_journal(journal) == {0: {"number": 0, "val_acc": [0.1]}}
    assert journal.read_text() == whole


def test_what_is_kept_is_what_the_recorder_says() -> None:
    with np.load(PACKED, allow_pickle=False) as arrays:
        assert arrays["val_loss"].shape == arrays["val_acc"].shape == arrays["train_loss"].shape == (RUNS, EPOCHS)
        assert arrays["hyperparameters"].tolist() == list(HYPERPARAMETERS)
        for number in (0, 1, RUNS - 1):
            made = recipe(number)
            assert arrays["params"][number].tolist() == [made.params[name] for name in HYPERPARAMETERS]
            assert arrays["schedule"][number] == made.params["schedule"]["name"]
    assert PACKED.stat().st_size < 300_000  # bytes
    for schedule in SCHEDULES:
        task = curves(f"cifar100/{schedule}")
        accuracies = -task.costs()[np.isfinite(task.costs())]
        assert len(task.curves) == RUNS // 2
        assert accuracies.max() - accuracies.min() > 0.4 * accuracies.max()


@pytest.mark.slow
def test_the_images_are_a_balanced_part_of_cifar100_at_half_size(cifar100_folder: Path) -> None:
    data = subset(cifar100_folder)
    assert data.train_images.shape == (4000, 3, 16, 16)
    assert data.validation_images.shape == (2000, 3, 16, 16)
    assert data.train_labels.bincount().tolist() == [200] * 20
    assert data.validation_labels.bincount().tolist() == [100] * 20
    whole = plugins.dataset("cifar100").load(cifar100_folder, "train")
    first = int(np.flatnonzero(whole.labels < 20)[0])
    corner = whole.images[first, :, :2, :2].astype(float).mean(axis=(1, 2))
    assert np.abs(data.train_images[0, :, 0, 0].numpy() - corner).max() <= 0.5


@pytest.mark.slow
def test_a_run_that_is_recorded_again_has_the_same_curve(cifar100_folder: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        training = plugins.trainer("cnn").begin(recipe(1), subset(cifar100_folder), "cpu")
        again = [training.epoch().val_loss for _ in range(3)]
    finally:
        torch.set_num_threads(threads)
    with np.load(PACKED, allow_pickle=False) as arrays:
        assert again == pytest.approx(arrays["val_loss"][1, :3].tolist(), rel=0.02)  # another processor may round otherwise


@pytest.mark.slow
def test_one_command_judges_and_adds_to_what_was_judged_before(tmp_path: Path) -> None:
    def replay(*words: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "benchmarks.replay", "--curves", "cifar100", "--processes", "1", "--seeds", "2"]
        return subprocess.run(
            [*program, *words, "--output", str(tmp_path)], check=False, capture_output=True, text=True, cwd=ROOT
        )

    assert replay("--pruners", "none").returncode == 0
    second = replay("--pruners", "median", "--workers", "1,4")
    assert second.returncode == 0, second.stderr
    table = (tmp_path / "replay.md").read_text()
    assert "| none | 1.0 (1.0-1.0)x | 1.00 (1.00-1.00) | 0.000 (0.000-0.000) |" in table
    assert table.count("| median |") == 2
    assert second.stdout.strip() == table.strip()
    unknown = replay("--pruners", "medium")
    assert unknown.returncode == 2
    assert "unknown: medium; known: none, " in unknown.stderr
