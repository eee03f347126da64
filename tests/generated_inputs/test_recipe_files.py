"""Recipe files that are wrong somewhere are refused by name, before anything is trained; unusual JSON of a sound one is not."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.generated_inputs.amounts import amounts, for_all
from tests.generated_inputs.conftest import QUIET, World
from tests.generated_inputs.mutations import changed_json, unusual_json
from tests.generated_inputs.plug_ins import DATASET
from tests.generated_inputs.verdict import DATA, MISSING, USAGE, holding, judged

RECIPE: dict[str, Any] = {
    "plan": "mine",
    "trainer": "cnn",
    "dataset": DATASET,
    "epochs": 10,
    "seed": 3,
    "split": {"seed": 1, "train_on": "train"},
    "params": {
        "batch_size": 4,
        "learning_rate": 0.1,
        "weight_decay": 5e-4,
        "optimizer": {"name": "sgd", "nesterov": True},
        "momentum": 0.9,
        "schedule": {"name": "step", "every": 4, "factor": 0.1},
        "warmup": 0.1,
        "clip": 1.5,
        "averaging": {"name": "ema", "decay": 0.99},
        "patience": 3,
        "augmentation": [
            {"name": "crop", "padding": 1},
            "flip",
            {"name": "rotation", "degrees": 10},
            {"name": "noise", "largest": 0.2},
        ],
        "mixing": [{"name": "mixup", "probability": 0.5}, {"name": "cutmix", "probability": 0.5}],
        "precision": "float32",
        "blocks": [{"channels": 4}, {"channels": 8, "pool": False, "dropout": 0.1}],
        "average": True,
        "hidden": [16],
        "dropout": 0.2,
    },
}
ACCEPTED = "--executor in-process has one worker"  # what is refused only after the recipe was found to be sound


def train(world: World, file: Path) -> list[str | Path]:
    """A command that checks a recipe, and then is refused whatever it says: nothing is trained."""
    return ["train", file, "--runs", world.folder / "other", "--data-dir", world.data, *QUIET, "--workers", "2"]


@amounts(8, 150)
def test_a_wrong_recipe_file_is_refused_by_name(examples: int, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    file = world.folder / "odd.json"

    def check(content: bytes) -> None:
        with holding(file, content):
            printed = judged(capsys, world.folder, (0, DATA, USAGE), "recipe", file)
            if printed.code == USAGE:  # of a data set that is not there
                assert printed.messages.startswith("error: unknown ")
            named = (str(file),) if printed.code == DATA else ()
            assert all(name in printed.messages for name in named)
            checked = judged(capsys, world.folder, (USAGE, DATA, MISSING), *train(world, file), names=named)
            assert " failed: " not in checked.messages  # no trainer of ours meets what it did not expect
            if printed.code == 0:
                json.loads(printed.output)

    for_all(changed_json(RECIPE), check, examples)


@amounts(4, 30)
def test_unusual_json_is_the_same_recipe(examples: int, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    file = world.folder / "odd.json"

    def check(content: bytes) -> None:
        with holding(file, content):
            assert json.loads(judged(capsys, world.folder, (0,), "recipe", file).output) == RECIPE
            assert ACCEPTED in judged(capsys, world.folder, (USAGE,), *train(world, file)).messages

    for_all(unusual_json(RECIPE), check, examples)


@amounts(0, 30)
def test_a_preview_shows_every_recipe_that_is_accepted(examples: int, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    file, picture = world.folder / "odd.json", world.folder / "odd.png"
    words = ("data", "preview", file, "--output", picture, "--rows", "1", "--columns", "1", "--data-dir", world.data)

    def check(params: bytes) -> None:
        with holding(
            file, json.dumps({**RECIPE, "params": {}}).encode().replace(b'"params": {}', b'"params": ' + params.strip())
        ):
            shown = judged(capsys, world.folder, (0, USAGE, DATA, MISSING), *words, writes=True)
            assert shown.code or picture.read_bytes().startswith(b"\x89PNG")
            picture.unlink(missing_ok=True)

    augmented = {name: RECIPE["params"][name] for name in ("augmentation", "mixing", "batch_size")}
    for_all(changed_json({**augmented, "resize": 12, "center_crop": 8, "normalisation": "half"}, indent=None), check, examples)
