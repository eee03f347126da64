"""`orchestrate train` and `orchestrate recipe`."""

import json
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.lazy_group import Command
from orchestrator.cli.messages import say
from orchestrator.cli.options import last_runs_folder, new_work_options, refuse_idle, skip_damaged_option, unsettled_runs_option
from orchestrator.cli.parameter_types import WholeNumber
from orchestrator.cli.process.standard_streams import emit
from orchestrator.recipe import MOST_EPOCHS


@click.command("train", cls=Command, short_help="Train one recipe: a reference system, a plan or a file.")
@click.argument("name")
@click.option(
    "--epochs",
    type=WholeNumber(1, MOST_EPOCHS),
    metavar="E",
    help="Number of epochs; a reference system is scaled to it.  [default: the recipe's]",
)
@click.option("--seed", type=WholeNumber(0), metavar="S", help="Seed of the training.  [default: the recipe's]")
@click.option("--dataset", metavar="NAME", help="Data set: cifar100, cifar10, digits, folder:PATH.  [default: the recipe's]")
@skip_damaged_option
@click.option("--study", metavar="NAME", default="train", show_default=True, help="Folder of the run, below the runs folder.")
@new_work_options
def train(
    name: str,
    epochs: int | None,
    seed: int | None,
    dataset: str | None,
    skip_damaged: bool,
    study: str,
    runs: Path,
    data_dir: Path | None,
    **work: Any,
) -> None:
    """Train one recipe, without a search.

    NAME is a reference system such as 001-P2 (`orchestrate baselines` lists them), a plan, or a FILE.json with a recipe as
    `orchestrate recipe` prints it. Run the same command to resume after an interruption.

    The weights of the best epoch on the validation images are kept, for `orchestrate submit RUN`. The test set is not used; to
    measure it: `orchestrate retrain RUN`.
    """
    from orchestrator.sessions.find_recipe import find_recipe
    from orchestrator.sessions.resources import Resources
    from orchestrator.sessions.train import TrainRequest
    from orchestrator.sessions.train import train as train_recipe
    from orchestrator.storage.remembered_folders import data_folder_of
    from orchestrator.storage.runs import RunsFolder

    folder = RunsFolder(runs).study(study)
    known = folder.read() if folder.has_begun() else None
    data_folder = data_folder_of(known, data_dir)
    recipe = find_recipe(name, epochs=epochs, seed=seed, dataset=dataset, skip_damaged=skip_damaged, data_folder=data_folder)
    train_recipe(TrainRequest(recipe=recipe, study=study), Resources(runs=runs, data_folder=data_dir, **work), say)


@click.command("recipe", cls=Command, short_help="Print a recipe, for `orchestrate train`.")
@click.argument("run")
@unsettled_runs_option
def recipe(run: str, runs: Path | None) -> None:
    """Print the recipe of RUN, such as part2/7, as a JSON file for `orchestrate train`.

    The recipe of a run is complete: trained again on the same kind of device, it gives the same numbers.

    RUN may also be a reference system or a plan. Hyperparameters that such a recipe leaves out have their trainer's defaults.
    """
    from orchestrator.sessions.find_recipe import find_recipe
    from orchestrator.storage.runs import RunsFolder
    from orchestrator.support.serialization import to_plain

    named = "/" not in run or run.endswith((".py", ".json"))
    if named:
        found = find_recipe(run)
        refuse_idle("for a recipe that is no run's", "runs")
    else:
        found = RunsFolder(last_runs_folder(runs)).find_run(run)[1].read().recipe
    emit(json.dumps(to_plain(found), indent=1, ensure_ascii=False))


COMMANDS: dict[str, Any] = {"train": train, "recipe": recipe}
