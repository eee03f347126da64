"""`orchestrate data`."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.lazy_group import LazyGroup
from orchestrator.cli.messages import say
from orchestrator.cli.options import data_option, refuse_idle, skip_damaged_option
from orchestrator.cli.parameter_types import Location, WholeNumber


@click.group("data", cls=LazyGroup, short_help="Download, check and preview data sets.")
def data() -> None:
    """Download, check and preview data sets and pretrained weights."""


@data.command("fetch", short_help="Download a data set or pretrained weights.")
@click.argument("name")
@data_option
def fetch(name: str, data_dir: Path) -> None:
    """Download NAME and verify its checksums.

    NAME is a data set (cifar10, cifar100) or pretrained weights (resnet50-IMAGENET1K_V1). Files that are complete are not
    downloaded again.
    """
    from orchestrator import plugins

    if _is_of_weights(name):
        from trainers.pretrained import weight_files

        weight_files.fetch(name, data_dir)
    else:
        plugins.dataset(name).fetch(data_dir)
    say(f"{name} is complete and verified")


@data.command("verify", short_help="Verify the files of a data set or of pretrained weights.")
@click.argument("name")
@skip_damaged_option
@data_option
def verify(name: str, skip_damaged: bool, data_dir: Path) -> None:
    """Verify that the files of NAME are complete and undamaged.

    NAME is a data set (cifar100, folder:PATH) or pretrained weights (resnet50-IMAGENET1K_V1). All damaged images are named at
    once. Otherwise the images of each class are counted, and the files that are left out.
    """
    from orchestrator import plugins
    from orchestrator.sessions.fetch_data import describe_data_set

    if _is_of_weights(name):
        from trainers.pretrained import weight_files

        refuse_idle("with weights", "skip_damaged")
        say(f"{name} is complete and verified: {weight_files.verify(name, data_dir)}")
        return
    if skip_damaged:
        name = plugins.dataset_skipping_damaged(name)
    plugins.dataset(name).check(data_dir)
    for line in describe_data_set(name, data_dir):
        say(line)


def _is_of_weights(name: str) -> bool:
    """Whether the name is one of pretrained weights, and not of a data set. Raises UnknownName where it can be neither."""
    from orchestrator import plugins
    from orchestrator.errors import UnknownName

    known = plugins.names("data set")
    if name.partition(":")[0] in known:
        return False
    if "-" not in name:
        raise UnknownName("data set", name, known, "weights are named like resnet50-IMAGENET1K_V1")
    return True


@data.command("preview", short_help="Draw the augmented images of a recipe.")
@click.argument("recipe")
@click.option("--output", type=Location(), metavar="FILE.png", help="Output file.  [default: RECIPE-preview.png]")
@click.option("--rows", type=WholeNumber(1, 100), default=6, show_default=True, help="Number of images.")
@click.option("--columns", type=WholeNumber(1, 100), default=8, show_default=True, help="Number of epochs.")
@click.option("--seed", type=WholeNumber(0), metavar="S", help="Seed of the training.  [default: the recipe's]")
@click.option("--dataset", metavar="NAME", help="Data set: cifar100, cifar10, digits, folder:PATH.  [default: the recipe's]")
@skip_damaged_option
@data_option
def preview(
    recipe: str,
    output: Path | None,
    rows: int,
    columns: int,
    seed: int | None,
    dataset: str | None,
    skip_damaged: bool,
    data_dir: Path,
) -> None:
    """Write a picture of training images after augmentation.

    RECIPE is a reference system such as 001-P2, a plan, or a FILE.json with a recipe. Each row is one image: first as used in
    validation, then as augmented in each epoch.
    """
    from orchestrator.sessions.find_recipe import find_recipe
    from orchestrator.sessions.preview import write_preview

    file = output if output is not None else Path(f"{Path(recipe).stem}-preview.png")
    found = find_recipe(recipe, seed=seed, dataset=dataset, skip_damaged=skip_damaged, data_folder=data_dir)
    write_preview(found, data_dir, file, say, rows=rows, columns=columns)
    say(f"wrote {file}: the augmentation of {recipe}")


COMMANDS: dict[str, Any] = {"data": data}
