"""The plan and the data set of the working directory, and the parts of the plan that can be written otherwise."""

from collections.abc import Mapping

PLAN = "generated"
DATASET = "arrays"

# Each part of the plan, as Python writes it.
PARTS: Mapping[str, str] = {
    "DATASET": f'"{DATASET}"',
    "name": f'"{PLAN}"',
    "trainer": '"curve"',
    "dataset": "dataset",
    "recipe_epochs": "3",
    "seed": "0",
    "split": "Split()",
    "params": "{}",
    "batch_size": "CategoricalDistribution(info.batch_sizes)",
    "learning_rate": "FloatDistribution(1e-4, 1.0, log=True)",
    "dropout": "FloatDistribution(0.0, 0.5, step=0.1)",
    "at_epoch": "IntDistribution(1, 9)",
    "metric": "Metric()",
    "epochs": "3",
    "confirm_epochs": "3",
    "retrain_epochs": "4",
    "system": '"000-P1"',
    "baseline": '{"batch_size": 4, "learning_rate": 0.1, "dropout": 0.3, "at_epoch": 2}',
    "misfit": '""',
    "pruner": '"median"',
}

_TEXT = """\
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator.contracts import Baseline, StudyPlan
from orchestrator.recipe import Recipe, Split
from orchestrator.record import Metric

DATASET = <DATASET>


def plan(dataset, info):
    return StudyPlan(
        recipe=Recipe(
            plan=<name>,
            trainer=<trainer>,
            dataset=<dataset>,
            epochs=<recipe_epochs>,
            seed=<seed>,
            split=<split>,
            params=<params>,
        ),
        space={
            "batch_size": <batch_size>,
            "learning_rate": <learning_rate>,
            "dropout": <dropout>,
            "at_epoch": <at_epoch>,
            <more>
        },
        metric=<metric>,
        epochs=<epochs>,
        confirm_epochs=<confirm_epochs>,
        retrain_epochs=<retrain_epochs>,
        baselines=(Baseline(system=<system>, params=<baseline>, misfit=<misfit>),),
        pruner=<pruner>,
    )
"""


def plan_file(*, more: str = "", **parts: str) -> str:
    """The text of the plan file, with some parts written otherwise, and with `more` hyperparameters in its space."""
    text = _TEXT.replace("<more>", more)
    for name, part in {**PARTS, **parts}.items():
        text = text.replace(f"<{name}>", part)
    return text


PLAN_FILE = plan_file()

DATASET_FILE = """\
from pathlib import Path

import numpy as np

from orchestrator.contracts import DataSetInfo, DataSetNames, Labelled
from orchestrator.errors import MissingInput


class Arrays:
    names = DataSetNames(
        classes=lambda folder: ("cat", "=1+1", 'a "dog", two', *map(str, range(7))),
        images=lambda folder, part: [f"{part}/{number}.png" for number in range(60 if part == "train" else 20)],
    )

    def info(self, folder):
        return DataSetInfo(
            classes=10, channels=1, size=8, mean=(0.5,), std=(0.25,), padding=1, flip=False, train_images=60,
            validation_images=10, confirmation_images=10, batch_sizes=(4, 8), trial_epochs=1, retrain_epochs=1,
        )

    def check(self, folder):
        if not (folder / "arrays.npz").is_file():
            raise MissingInput(f"there is no {folder / 'arrays.npz'}")

    def fetch(self, folder):
        self.check(folder)

    def load(self, folder, part):
        self.check(folder)
        with np.load(folder / "arrays.npz") as found:
            return Labelled(images=found[f"{part}_images"], labels=found[f"{part}_labels"])


dataset = Arrays()
"""
