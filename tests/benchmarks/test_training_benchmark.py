"""`make bench`, the part about the training loop: both sides do the same work, and what decides is computed rightly."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torchvision.datasets import CIFAR100

from benchmarks import plain_loop
from benchmarks.measuring.figures import Claim, Figure
from benchmarks.training import images
from benchmarks.training.accuracy import interval, not_worse
from benchmarks.training.epochs import Peer
from benchmarks.training.models import CNN
from benchmarks.training.peer import Pass, choose, compared, speeds
from benchmarks.training.setting import BOUNDS, Bound, Column, Setting, has_bfloat16


def setting(folder: Path = Path("nowhere"), column: Column = "cpu") -> Setting:
    return Setting(device=torch.device("cpu"), column=column, folder=folder)


def figure(*values: float) -> Figure:
    return Figure(name="shared loop / plain loop", unit="×", values=values)


def test_the_interval_of_a_median_goes_from_value_to_value() -> None:
    assert figure(1.0, 2.0).interval is None
    six = figure(6.0, 1.0, 2.0, 3.0, 4.0, 5.0).interval
    assert six is not None
    assert (six.low, six.high) == (1.0, 6.0)
    assert six.level == pytest.approx(1 - 2 / 64)
    nine = figure(*map(float, range(9))).interval
    assert nine is not None
    # of nine values at most one lies below the median with (1 + 9) / 512
    assert (nine.low, nine.high) == (1.0, 7.0)
    assert nine.level == pytest.approx(1 - 2 * 10 / 512)


def test_an_aim_without_a_must_is_met_or_missed_and_never_fails() -> None:
    aimed = Claim(figure=figure(7.0), sense="at least", must=None, aim=8.0)
    assert aimed.holds
    assert aimed.verdict == "aim missed"
    assert Claim(figure=figure(8.0), sense="at least", must=None, aim=8.0).verdict == "aim met"


def test_accuracy_is_worse_only_when_chance_does_not_explain_it() -> None:
    plain = [0.20, 0.22, 0.21, 0.19, 0.23]
    assert not_worse([value - 0.01 + 0.02 * (place % 2) for place, value in enumerate(plain)], plain).holds
    assert not_worse([value + 0.05 for value in plain[:-1]] + [0.29], plain).holds
    assert not not_worse([value - 0.01 for value in plain[:-1]] + [0.215], plain).holds


def test_the_interval_of_a_mean_is_students() -> None:
    # Student 1908, the additional hours of sleep of ten patients: mean 1.58, standard deviation 1.23, 2.262 · 1.23 / √10 = .88
    low, high = interval([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert low == pytest.approx(0.70, abs=0.005)
    assert high == pytest.approx(2.46, abs=0.005)


def test_a_gpu_has_aims_only_and_a_cpu_without_bfloat16_no_must_for_resnet18(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(BOUNDS[name]["cpu"].must for name in BOUNDS)
    assert all(setting(column="gpu").bound(name).must is None for name in BOUNDS)
    monkeypatch.setattr("benchmarks.training.setting.has_bfloat16", lambda: True)
    assert setting().bound("resnet18").must == 2.0
    monkeypatch.setattr("benchmarks.training.setting.has_bfloat16", lambda: False)
    assert setting().bound("resnet18").must is None
    assert setting().bound("cnn").must == 1.5


def test_the_fastest_number_of_workers_is_chosen_and_all_are_told() -> None:
    seconds = {0: 0.06, 2: 0.002, 4: 0.03}

    def make(workers: int) -> Pass:
        def once() -> int:
            time.sleep(seconds[workers])
            return 10

        return once

    choice = choose(setting(), make)
    assert choice.workers == 2
    assert [figure.name for figure in choice.figures] == [
        f"plain loop, {workers} workers, to choose among" for workers in seconds
    ]
    slowest = choice.figures[0]
    assert len(slowest.values) == 3
    assert slowest.median <= 10 / seconds[0]


def test_sides_are_compared_by_images_per_second_after_a_pass_that_does_not_count() -> None:
    passes: list[str] = []

    def side(name: str, seconds: float) -> Pass:
        def once() -> int:
            passes.append(name)
            time.sleep(seconds)
            return 100

        return once

    measured = speeds(setting(), {"shared loop": side("shared loop", 0.002), "plain loop": side("plain loop", 0.06)}, 2)
    assert passes == ["shared loop", "plain loop", "shared loop", "plain loop", "plain loop", "shared loop"]
    claim = compared(Bound(must=1.5), measured)
    assert claim.holds
    assert len(claim.figure.values) == 2
    assert not compared(Bound(must=1.5), {"shared loop": [10.0, 14.0], "plain loop": [10.0, 10.0]}).holds


@pytest.mark.slow
def test_both_sides_have_the_same_images_labels_and_first_weights(cifar100_folder: Path) -> None:
    found = images.read(setting(cifar100_folder))
    data = found.data(train=40, validation=30)
    raw = CIFAR100(str(cifar100_folder), train=True)
    assert len(found.train) == 40_000
    assert len(found.validation) == 5_000
    for mine, place in enumerate(found.train[:40]):
        picture, label = raw[place]
        assert label == data.train_labels[mine]
        assert picture.tobytes() == data.train_images[mine].permute(1, 2, 0).numpy().tobytes()
    batches = plain_loop.loader(
        found.files.for_evaluation(found.validation[:30]), batch=30, workers=0, device=torch.device("cpu"), training=False
    )
    ((pictures, labels),) = batches
    training = CNN.begin(data, torch.device("cpu"), batch=20, epochs=1)
    network = CNN.plain(training, data)
    assert sum(parameter.numel() for parameter in network.parameters()) == 643_492  # 000-P1
    assert torch.equal(labels, data.validation_labels)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (found.info.mean, found.info.std))
    assert torch.allclose(pictures, (data.validation_images / 255 - mean) / std, atol=1e-5)
    begun = training.state_dict()["model"]
    assert all(torch.equal(value, begun[name]) for name, value in network.state_dict().items())


@pytest.mark.slow
def test_the_plain_loop_learns_and_predicts(cifar100_folder: Path) -> None:
    found = images.read(setting(cifar100_folder))
    data = found.data(train=64, validation=32)
    training = CNN.begin(data, torch.device("cpu"), batch=16, epochs=1)
    network = CNN.plain(training, data)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    loop = Peer(model=CNN, found=found, batch=16, validation=32).loop(network, train=64, epochs=1, workers=0)
    assert 0.0 <= loop.epoch() <= 1.0
    after = network.state_dict()
    assert all(not torch.equal(after[name], before[name]) for name, _ in network.named_parameters())
    evaluation = found.files.for_evaluation(found.validation[:32])
    batches = plain_loop.loader(evaluation, batch=10, workers=0, device=torch.device("cpu"), training=False)
    probabilities = plain_loop.predict(network, batches, torch.device("cpu"))
    assert probabilities.shape == (32, 100)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(32))


@pytest.mark.slow
@pytest.mark.parametrize("column", ["cpu", "gpu"])
def test_a_quick_run_measures_everything_and_keeps_it(tmp_path: Path, cifar100_folder: Path, column: Column) -> None:
    every = ["pipeline", "cnn", "resnet18", "prediction", "cnn-accuracy", "resnet18-accuracy"]
    asked = every if column == "cpu" else ["pipeline"]  # the columns differ in bounds and sizes, not in what is done
    command = [sys.executable, "-m", "benchmarks.training", "--quick", "--column", column]
    options = ["--data-dir", str(cifar100_folder), "--output", str(tmp_path)]
    options += [word for name in asked if asked != every for word in ("--only", name)]
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True, timeout=600)
    file = tmp_path / ("training.json" if column == "cpu" else "training-gpu.json")
    kept = json.loads(file.read_text())
    assert list(kept) == asked
    missed = [claim for found in kept.values() for claim in found["claims"] if not claim["holds"]]
    assert done.returncode == int(bool(missed))
    for name in BOUNDS.keys() & set(asked):
        figures = {found["name"]: found["median"] for found in kept[name]["figures"]}
        (compared,) = kept[name]["claims"]
        assert compared["median"] == pytest.approx(figures["shared loop"] / figures["plain loop"])
        bound = BOUNDS[name][column]
        without_must = (
            column == "cpu" and name == "resnet18" and not has_bfloat16()
        )  # half the products are what doubles its speed
        assert (compared["must"], compared["aim"]) == (None if without_must else bound.must, bound.aim)
    assert file.with_suffix(".md").read_text().startswith("# How fast the training loop is\n")


def test_a_benchmark_without_its_images_says_how_to_get_them(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks.training",
        "--only",
        "cnn",
        "--data-dir",
        str(tmp_path),
        "--output",
        str(tmp_path),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 66
    assert done.stderr.startswith("error: CIFAR-100: there is no ")
    assert len(done.stderr.splitlines()) == 1
