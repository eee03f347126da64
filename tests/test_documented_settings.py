"""docs/training.md says what the loop can be asked for: all of it, with its defaults."""

import dataclasses
import re
import typing

from tests.helpers.paths import ROOT
from trainers.loop.hyperparameters import LoopHyperparameters
from trainers.loop.optimizers import AnyOptimizer
from trainers.loop.schedules.learning_rate import AnySchedule

TEXT = (ROOT / "docs" / "training.md").read_text()
ROWS = {
    name: rest
    for names, rest in re.findall(r"^\| (`.*?) \| (.*) \|$", TEXT, re.MULTILINE)
    for name in re.findall(r"`([\w-]+)`", names)
}


def names(choices: object) -> set[str]:
    return {str(field.default) for kind in typing.get_args(choices) for field in dataclasses.fields(kind) if field.name == "name"}


def test_every_setting_and_every_default_is_there() -> None:
    usual = LoopHyperparameters()
    for field in dataclasses.fields(LoopHyperparameters):
        default, value = ROWS[field.name].split(" | ")[0], getattr(usual, field.name)
        if isinstance(value, float | int):
            assert float(default) == value, field.name
        elif value:
            assert default == f"`{getattr(value, 'name', value)}`", field.name
    schedules = {name for name in ROWS if name in names(AnySchedule)}
    assert schedules == names(AnySchedule)
    assert names(AnyOptimizer) == set(re.findall(r"`([a-z]*(?:sgd|adam)w?)`", ROWS["optimizer"]))
