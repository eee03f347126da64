"""`orchestrate train` and `orchestrate recipe`."""

import json
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.messages import say
from orchestrator.cli.options import runs_option, work_options
from orchestrator.cli.parameter_types import MOST_EPOCHS, WholeNumber


@click.command("train", short_help="Train one recipe: a reference system, or a file.")
@click.argument("name")
@click.option(
    "--epochs",
    type=WholeNumber(1, MOST_EPOCHS),
    metavar="E",
    help="Epochs, to which a reference system is scaled.  [default: the recipe's]",
)
@click.option("--seed", type=WholeNumber(0), metavar="S", help="Seed of everything random.  [default: the recipe's]")
@click.option("--dataset", metavar="NAME", help="Data set.  [default: the recipe's]")
@click.option("--study", metavar="NAME", default="train", show_default=True, help="The folder of runs that it belongs to.")
@work_options
def train(
    name: str,
    epochs: int | None,
    seed: int | None,
    dataset: str | None,
    study: str,
    runs: Path,
    data_dir: Path,
    **work: Any,
) -> None:
    """Train one recipe, without a search.

    NAME is a reference system such as 001-P2 (`orchestrate baselines` lists them), a plan, or a FILE.json that holds a recipe as
    `orchestrate recipe` prints it. The best epoch is chosen on the validation images, and its weights are kept: for `orchestrate
    submit RUN`, or for `orchestrate retrain RUN`, which measures the test set. The same command carries on after an interruption.
    """
    from orchestrator.sessions.find_recipe import find_recipe
    from orchestrator.sessions.resources import Resources
    from orchestrator.sessions.train import TrainRequest
    from orchestrator.sessions.train import train as train_recipe

    recipe = find_recipe(name, epochs=epochs, seed=seed, dataset=dataset, data_folder=data_dir)
    train_recipe(TrainRequest(recipe=recipe, study=study), Resources(runs=runs, data_folder=data_dir, **work), say)


@click.command("recipe", short_help="Print a recipe as a file to train.")
@click.argument("run")
@runs_option
def recipe(run: str, runs: Path) -> None:
    """Print the recipe of RUN, such as part2/7, as a file that `orchestrate train` takes.

    It says everything: trained again on the same kind of device, it gives the same numbers. In place of a run, a reference system
    or a plan may be named, to have something to begin with; what such a recipe leaves out are its trainer's defaults.
    """
    from orchestrator.sessions.find_recipe import find_recipe
    from orchestrator.storage.runs import RunsFolder
    from orchestrator.support.serialization import to_plain

    named = "/" not in run or run.endswith((".py", ".json"))
    found = find_recipe(run) if named else RunsFolder(runs).find_run(run)[1].read().recipe
    click.echo(json.dumps(to_plain(found), indent=1, ensure_ascii=False))


COMMANDS: dict[str, Any] = {"train": train, "recipe": recipe}
