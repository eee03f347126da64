"""Recipes by name, and as files: what is found, and how what is wrong is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator.errors import BadData, MissingInput, UnknownName
from orchestrator.recipe import Recipe, Split
from orchestrator.search.spaces import contains, middle
from orchestrator.sessions.find_recipe import find_recipe
from orchestrator.support.serialization import to_plain
from tests.helpers.in_process_cli import call, refused
from tests.helpers.paths import PLUGINS

MINE = Recipe(
    plan="mine",
    trainer="curve",
    dataset="digits",
    epochs=3,
    seed=5,
    split=Split(seed=1, train_on="train+confirmation"),
    params={"learning_rate": 0.02},
)


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


def written(folder: Path, **changes: Any) -> Path:
    """A recipe file, with some fields changed; those that are None are left out."""
    file = folder / "mine.json"
    content = {**to_plain(MINE), **changes}
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    return file


def test_a_reference_system_by_its_name_and_its_number() -> None:
    recipe = find_recipe("001-P2")
    assert recipe == find_recipe("resnet18-scratch-batch8")
    assert (recipe.plan, recipe.trainer, recipe.dataset, recipe.epochs) == ("resnet18-scratch-batch8", "resnet", "cifar100", 5)
    other = find_recipe("001-P2", epochs=10, seed=3, dataset="cifar10")
    assert (other.epochs, other.seed, other.dataset) == (10, 3, "cifar10")
    assert other.params["schedule"]["every"] == 2  # as the epochs have doubled


def test_a_plan_stands_for_a_point_of_its_space() -> None:
    recipe = find_recipe("curves")
    assert (recipe.plan, recipe.epochs) == ("curves", 8)
    assert recipe.params["dropout"] == 0.3  # of its first reference setting
    assert find_recipe("search_spaces/curves.py") == recipe
    assert find_recipe("part3").params["batch_size"] in (64, 128, 256, 512)
    assert find_recipe("part1", dataset="digits").params["batch_size"] in (32, 64, 128)


def test_the_middle_of_a_space_is_in_it() -> None:
    space = {
        "choice": CategoricalDistribution((1, 2, 3)),
        "linear": FloatDistribution(0.0, 1.0),
        "logarithmic": FloatDistribution(1e-4, 1e-2, log=True),
        "stepped": FloatDistribution(0.0, 1.0, step=0.25),
        "whole": IntDistribution(1, 64, log=True),
        "single": FloatDistribution(0.1, 0.1, log=True),
        # whose middle lies between two values
        "even": IntDistribution(1, 4),
        "uneven": IntDistribution(16, 64, step=16),
        "quarters": FloatDistribution(0.0, 0.75, step=0.25),
        "ten": IntDistribution(1, 10, log=True),
    }
    found = middle(space)
    assert found == {
        "choice": 2,
        "linear": 0.5,
        "logarithmic": pytest.approx(1e-3),
        "stepped": 0.5,
        "whole": 8,
        "single": 0.1,
        "even": 3,
        "uneven": 48,
        "quarters": 0.5,
        "ten": 3,
    }
    assert isinstance(found["whole"], int)
    assert all(contains(distribution, found[name]) for name, distribution in space.items())


def test_a_file_holds_a_recipe_whole(tmp_path: Path) -> None:
    assert find_recipe(str(written(tmp_path))) == MINE
    assert find_recipe(str(written(tmp_path)), epochs=7).epochs == 7
    assert find_recipe(str(written(tmp_path, split=None))).split == Split()


@pytest.mark.parametrize("name", ["001-P2", "part2", "curves"])
def test_what_is_printed_is_such_a_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = call(capsys, "recipe", name)
    assert (printed.code, printed.messages) == (0, "")
    (tmp_path / "again.json").write_text(printed.output)
    assert find_recipe(str(tmp_path / "again.json")) == find_recipe(name)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"epoch": 3}, "there is no 'epoch'; a recipe has plan, trainer, dataset, epochs, seed, split, params"),
        ({"trainer": None}, "'trainer' is missing; a recipe has plan, trainer,"),
        ({"seed": None}, "'seed' is missing"),
        ({"epochs": "3"}, "epochs: '3' is not int"),
        ({"epochs": True}, "epochs: True is not int"),
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"params": [1]}, "params: [1] is not dict"),
        ({"split": {"seed": 0, "train_on": "test"}}, "split: train_on: 'test' is none of 'train', 'train+confirmation'"),
        ({"split": {"sed": 0}}, "split: unknown field 'sed'"),
        ({"plan": "../x"}, "'plan' is in the run's name"),
    ],
)
def test_a_file_with_something_wrong_in_it(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    file = written(tmp_path, **changes)
    with pytest.raises(BadData) as refusal:
        find_recipe(str(file))
    assert str(refusal.value).startswith(f"{file}: ")
    assert says in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"epochs": 1' + b"0" * 400 + b"}", b"[" * 100_000])
def test_a_file_that_is_no_recipe(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_bytes(content)
    with pytest.raises(BadData, match=r"mine\.json: (this is no recipe|not JSON)"):
        find_recipe(str(file))


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ('{"trainer": "cnn", "epochs": 3, "epochs": 9}', "epochs"),
        ('{"trainer": "cnn", "params": {"dropout": 0.1, "dropout": 0.5}}', "dropout"),
        ('{"trainer": "cnn", "params": {"blocks": [{"channels": 8, "channels": 16}]}}', "channels"),
    ],
)
def test_a_key_that_is_given_twice_is_refused_at_every_depth(content: str, key: str, tmp_path: Path) -> None:
    file = tmp_path / "twice.json"
    file.write_text(content)
    with pytest.raises(BadData, match=f"twice.json: '{key}' is given twice"):
        find_recipe(str(file))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="there is no recipe"):
        find_recipe(str(tmp_path / "mine.json"))
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(BadData, match="cannot be read"):
        find_recipe(str(tmp_path / "folder.json"))


def test_an_unknown_name_is_answered_with_those_most_like_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown recipe '001-P4'; known: 001-P1"):
        find_recipe("001-P4")
    refused(capsys, 2, "train", "resnet18-scratch", "--runs", tmp_path, says=("known: resnet18-scratch-batch8",))
    refused(capsys, 2, "recipe", "part9", "--runs", tmp_path, says=("unknown recipe 'part9'; known: part",))
