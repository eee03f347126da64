"""`orchestrate data`."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.lazy_group import LazyGroup
from orchestrator.cli.messages import say
from orchestrator.cli.options import data_option
from orchestrator.cli.parameter_types import Location, WholeNumber


@click.group("data", cls=LazyGroup, short_help="Download data sets and weights, or check them.")
def data() -> None:
    """Download data sets and pretrained weights, or check those that are there."""


@data.command("fetch", short_help="Download a data set, or pretrained weights.")
@click.argument("name")
@data_option
def fetch(name: str, data_dir: Path) -> None:
    """Download NAME, a data set (cifar10, cifar100) or pretrained weights (resnet50-IMAGENET1K_V1), and check what came.

    What is there already and right is not downloaded again.
    """
    from orchestrator import plugins
    from orchestrator.errors import UnknownName

    if name.partition(":")[0] in plugins.names("data set"):
        plugins.dataset(name).fetch(data_dir)
    elif "-" in name:
        from trainers.pretrained.weight_files import fetch as fetch_weights

        fetch_weights(name, data_dir)
    else:
        raise UnknownName("data set", name, plugins.names("data set"), "weights are named like resnet50-IMAGENET1K_V1")
    say(f"{name} is there and right")


@data.command("verify", short_help="Check the files of a data set.")
@click.argument("name")
@data_option
def verify(name: str, data_dir: Path) -> None:
    """Check that the files of the data set NAME (cifar100, folder:PATH) are there and right."""
    from orchestrator import plugins

    dataset = plugins.dataset(name)
    dataset.check(data_dir)
    info = dataset.info(data_dir)
    images = f"{info.classes} classes, {info.train_images:,} training images of {info.size}×{info.size} pixels"
    say(f"{name} is there and right: {images}")


@data.command("preview", short_help="A picture of what a recipe's augmentation does.")
@click.argument("recipe")
@click.option("--output", type=Location(), metavar="FILE.png", help="Where it is written.  [default: RECIPE-preview.png]")
@click.option("--rows", type=WholeNumber(1, 100), default=6, show_default=True, help="Images.")
@click.option("--columns", type=WholeNumber(1, 100), default=8, show_default=True, help="Epochs, one beside the other.")
@click.option("--seed", type=WholeNumber(0), metavar="S", help="The training's seed.  [default: the recipe's]")
@click.option("--dataset", metavar="NAME", help="Data set.  [default: the recipe's]")
@data_option
def preview(
    recipe: str, output: Path | None, rows: int, columns: int, seed: int | None, dataset: str | None, data_dir: Path
) -> None:
    """Write a picture of what training does to its images.

    RECIPE is a reference system such as 001-P2, a plan, or a FILE.json that holds a recipe. A row is an image: at first as
    validation and prediction see it, then as successive epochs show it to the model.
    """
    from orchestrator.sessions.find_recipe import find_recipe
    from orchestrator.sessions.preview import write_preview

    file = output if output is not None else Path(f"{Path(recipe).stem}-preview.png")
    found = find_recipe(recipe, seed=seed, dataset=dataset, data_folder=data_dir)
    write_preview(found, data_dir, file, say, rows=rows, columns=columns)
    say(f"the augmentation of {recipe} is shown in {file}")


COMMANDS: dict[str, Any] = {"data": data}
