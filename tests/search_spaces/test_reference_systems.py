"""The fifteen reference systems: all there, and as their reports describe them."""

import dataclasses
import importlib
import json
from typing import Any

import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution

from orchestrator import plugins
from orchestrator.hyperparameters import divide
from orchestrator.support.serialization import to_plain
from search_spaces._baselines import baselines
from search_spaces.reference_systems import part1, part3
from search_spaces.reference_systems.support.system import ReportedSystem
from tests.helpers.in_process_cli import call
from tests.helpers.reference_systems import SYSTEMS, by_number, reported_system
from trainers.loop.trainer import ImageShape

# What the challenge's page says of them. 002-P1's is misprinted there as 820,996.
PARAMETERS = {
    "000-P1": 643_492,
    "000-P2": 21_696_676,
    "000-P3": 21_696_676,
    "001-P1": 1_093_924,
    "001-P2": 11_220_132,
    "001-P3": 23_712_932,
    "002-P1": 820_196,
    "003-P1": 965_476,
}
EPOCHS = {
    "000": (5, 10, 50),
    "001": (5, 5, 5),
    "002": (20, 20, 30),
    "003": (5, 100, 110),
    "004": (5, 5, 50),
}


CROP, FLIP, JITTER, ROTATION = "crop", "flip", "color-jitter", "rotation"
CIFAR, HALF, IMAGENET = "cifar", "half", "imagenet"


@dataclasses.dataclass(frozen=True)
class Described:
    """A row of the challenge's table, and where it says nothing what was chosen."""

    optimizer: tuple[str, float, float]  # its name, the rate, weight decay
    schedule: Any
    batch: int
    augmentation: tuple[str, ...]
    normalisation: str
    smoothing: float = 0.0
    model: str = "cnn"
    stem: str = ""
    size: tuple[int, int] = (0, 0)  # resize, crop
    dropouts: tuple[float, ...] = ()


COSINE = {"name": "cosine", "per": "epoch"}
PLAIN = (CROP, FLIP)


def step(every: int, factor: float) -> dict[str, Any]:
    return {"name": "step", "every": every, "factor": factor}


TABLE = {
    "000-P1": Described(("sgd", 0.1, 5e-4), COSINE, 512, (), HALF),
    "000-P2": Described(
        ("sgd", 0.1, 5e-4), COSINE, 128, (*PLAIN, JITTER), CIFAR, 0.0, "resnet34", "3x3-maxpool", dropouts=(0.3, 0.3)
    ),
    "000-P3": Described(
        ("sgd", 1e-3, 5e-4), COSINE, 128, (*PLAIN, ROTATION), CIFAR, 0.0, "resnet34", "3x3-maxpool", dropouts=(0.3, 0.3)
    ),
    "001-P1": Described(("sgd", 0.1, 0.0), step(1, 0.9), 8, (), HALF),
    "001-P2": Described(("sgd", 0.1, 0.0), step(1, 0.9), 8, PLAIN, CIFAR, 0.0, "resnet18", "3x3"),
    "001-P3": Described(
        ("sgd", 0.01, 0.0), step(1, 0.9), 8, ("random-resized-crop", FLIP), IMAGENET, 0.0, "resnet50", "stock", (256, 224)
    ),
    "002-P1": Described(("adam", 1e-3, 0.0), step(7, 0.1), 128, PLAIN, CIFAR),
    "002-P2": Described(("adam", 1e-3, 0.0), step(7, 0.1), 128, PLAIN, CIFAR, 0.0, "resnet50", "stock"),
    "002-P3": Described(("adam", 1e-3, 1e-5), step(7, 0.1), 512, PLAIN, CIFAR, 0.1, "resnet50", "stock", dropouts=(0.3,)),
    "003-P1": Described(("sgd", 0.1, 0.0), step(2, 0.1), 128, (), HALF),
    "003-P2": Described(("adam", 1e-3, 5e-4), COSINE, 128, (*PLAIN, JITTER), IMAGENET, 0.1, "resnet34", "stock"),
    "003-P3": Described(("adam", 1e-3, 5e-4), COSINE, 128, (*PLAIN, JITTER), IMAGENET, 0.1, "resnet50", "stock"),
    "004-P1": Described(("sgd", 0.01, 5e-4), "constant", 128, PLAIN, CIFAR, dropouts=(0.5,)),
    "004-P2": Described(("sgd", 5e-3, 5e-4), COSINE, 64, PLAIN, CIFAR, 0.0, "resnet18", "3x3"),
    "004-P3": Described(
        ("adamw", 5e-3, 5e-4),
        {"name": "one-cycle", "start": 0.1, "end": 1e-5},
        128,
        (*PLAIN, "rand-augment", JITTER, ROTATION, "erasing"),
        CIFAR,
        0.0,
        "resnet18",
        "3x3",
        dropouts=(0.5, 0.3, 0.2),
    ),
}


def image_size(system: ReportedSystem) -> int:
    return int(system.params.get("center_crop", system.params.get("resize", 32)))


def test_there_are_fifteen_five_for_each_part_and_each_has_one_name() -> None:
    assert [system.system for system in SYSTEMS] == [f"00{report}-P{part}" for report in range(5) for part in (1, 2, 3)]
    assert len({system.name for system in SYSTEMS}) == 15
    assert all(len(system.name) <= 40 for system in SYSTEMS)  # else the name of a run would hold a part of it only
    assert {system.epochs for system in SYSTEMS if system.part == 1} == {5, 20}
    assert [system.epochs for system in SYSTEMS] == [epochs for three in EPOCHS.values() for epochs in three]
    for system in SYSTEMS:
        assert plugins.reference_system(system.name) is plugins.reference_system(system.system) is system
        assert bool(system.weights) == (system.part == 3 or system.system == "003-P2")
        assert all(sentence.endswith(".") for sentence in system.choices)
        assert all(0 < value < 1 for value in system.reported.figures().values())


@pytest.mark.parametrize("system", SYSTEMS, ids=by_number)
def test_its_model_has_the_parameters_that_it_says(system: ReportedSystem) -> None:
    assert system.parameters == PARAMETERS.get(system.system, system.parameters)
    module = importlib.import_module(f"trainers.{system.trainer}")
    names = {field.name for field in dataclasses.fields(module.Hyperparameters)}
    (own,) = divide([module.Hyperparameters], {name: value for name, value in system.params.items() if name in names})
    with torch.device("meta"):  # shapes only: nothing is drawn
        model = module.build(own, 100, ImageShape(channels=3, size=image_size(system)))
    assert sum(parameter.numel() for parameter in model.parameters()) == system.parameters


def named(value: Any) -> str:
    return str(value if isinstance(value, str) else value["name"])


@pytest.mark.parametrize("system", SYSTEMS, ids=by_number)
def test_its_recipe_is_what_the_table_says(system: ReportedSystem) -> None:
    params, expected = to_plain(system.params), TABLE[system.system]
    layers = [*params.get("blocks", ()), *params.get("head", ()), params]
    assert expected == Described(
        optimizer=(named(params["optimizer"]), params["learning_rate"], params["weight_decay"]),
        schedule=params["schedule"],
        batch=params["batch_size"],
        augmentation=tuple(named(each) for each in params["augmentation"]),
        normalisation=params["normalisation"],
        smoothing=params.get("label_smoothing", 0.0),
        model=params.get("architecture", system.trainer),
        stem=params.get("stem", ""),
        size=(params.get("resize", 0), params.get("center_crop", 0)),
        dropouts=tuple(layer["dropout"] for layer in layers if layer.get("dropout")),
    )
    assert params["warmup"] == (0.1 if system.system == "004-P3" else 0.0)
    if expected.optimizer[0] == "sgd":
        assert params["momentum"] == 0.9
        assert params["optimizer"] == {"name": "sgd", "nesterov": False}


def test_what_only_one_of_them_has() -> None:
    params = {system.system: to_plain(system.params) for system in SYSTEMS}
    assert [name for name, each in params.items() if "phases" in each] == ["003-P3"]
    assert params["003-P3"]["phases"] == [
        {"epochs": 10, "layers": "head", "rate": 1.0},
        {"epochs": 100, "layers": "all", "rate": 0.1},
    ]
    assert [name for name, each in params.items() if "mixing" in each] == ["004-P3"]
    assert params["004-P3"]["mixing"] == [{"name": "mixup", "alpha": 1.0, "probability": 0.5}]
    strengths = {named(step): step for each in params.values() for step in each["augmentation"] if not isinstance(step, str)}
    assert strengths["color-jitter"] == {
        "name": "color-jitter",
        "brightness": 0.1,
        "contrast": 0.1,
        "saturation": 0.1,
        "hue": 0.05,
    }
    assert strengths["rand-augment"] == {"name": "rand-augment", "operations": 2, "magnitude": 7}
    assert strengths["erasing"] == {"name": "erasing", "probability": 0.05}
    assert strengths["crop"] == {"name": "crop", "padding": 4}
    degrees = {name: step["degrees"] for name, each in params.items() for step in each["augmentation"] if named(step) == ROTATION}
    assert degrees == {"000-P3": 20, "004-P3": 10}


def test_what_is_counted_in_epochs_is_scaled_with_them_and_said() -> None:
    two_phases = reported_system("003-P3")
    assert [phase["epochs"] for phase in two_phases.recipe(33).params["phases"]] == [3, 30]
    assert two_phases.scaling(33) == ("The phases of 10 and 100 epochs become 3 and 30 epochs.",)
    assert [phase["epochs"] for phase in two_phases.recipe(4).params["phases"]] == [2, 2]
    assert "phases" not in two_phases.recipe(3).params
    only_last = two_phases.recipe(1).params
    assert "phases" not in only_last
    assert only_last["learning_rate"] == pytest.approx(1e-4)
    assert "there is only the last one" in two_phases.scaling(1)[0]
    steps = reported_system("002-P3")
    assert steps.recipe(60).params["schedule"] == {"name": "step", "every": 14, "factor": 0.1}
    assert steps.recipe(4).params["schedule"] == {"name": "step", "every": 1, "factor": 0.1}
    assert steps.recipe(1).params["schedule"] == "constant"
    every = reported_system("001-P1")  # .9 after each of 5 epochs
    assert every.recipe(3).params["schedule"] == {"name": "step", "every": 1, "factor": 0.9}
    assert every.scaling(3) == ("The rate falls after each epoch of 5: here it falls after each epoch, 2 times instead of 4.",)
    assert "it is constant" in steps.scaling(1)[0]
    assert "here it falls every 14 epochs" in steps.scaling(60)[0]


def test_falls_keep_their_places_and_their_number_where_the_epochs_allow() -> None:
    twice = reported_system("002-P1")  # after 7 and 14 of 20 epochs
    assert twice.recipe(7).params["schedule"] == {"name": "multi-step", "at": (2, 5), "factor": 0.1}
    assert twice.scaling(7) == ("The rate falls every 7 epochs of 20: here it falls after 2 and 5.",)
    assert twice.recipe(4).params["schedule"]["at"] == (1, 3)
    assert twice.recipe(40).params["schedule"] == {"name": "step", "every": 14, "factor": 0.1}


def test_plans_begin_with_the_same_numbers() -> None:
    space = {"batch_size": CategoricalDistribution((128,)), "learning_rate": FloatDistribution(1e-5, 1e-1)}
    (second,) = [found for found in baselines(part3.SYSTEMS, space, {"003-P3": "two phases"}) if found.system == "003-P3"]
    assert second.misfit == "two phases"
    assert second.params["learning_rate"] == pytest.approx(1e-4)  # of the phase that trains all layers
    assert second.params["batch_size"] == 128
    assert [baseline.system for baseline in baselines(part1.SYSTEMS, space, {})] == [f"00{report}-P1" for report in range(5)]


def test_the_list_as_json_has_every_recipe_whole(capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(call(capsys, "baselines", "--format", "json").output)
    assert len(listed) == 15
    for entry, system in zip(listed, SYSTEMS, strict=True):
        assert {"name", "system", "part", "parameters", "weights", "epochs", "recipe", "reported", "choices"} <= set(entry)
        assert entry["recipe"]["plan"] == entry["name"] == system.name
        assert entry["recipe"]["epochs"] == entry["epochs"]
        assert entry["weights"] == (system.weights or None)
        assert entry["choices"] == list(system.choices)
        assert entry["reported"]["val_acc"] == system.reported.val_acc


@pytest.mark.parametrize("form", ["table", "csv", "md"])
def test_the_list_for_people_has_a_line_for_each(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = call(capsys, "baselines", "--format", form).output.splitlines()
    for system in SYSTEMS:
        (line,) = [line for line in lines if system.system in line]
        assert system.name in line
        assert f"{system.parameters:,}" in line
