"""`orchestrate data`."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.common import data_option, say
from orchestrator.cli.groups import Commands


@click.group("data", cls=Commands, short_help="Download data sets and weights, or check them.")
def data() -> None:
    """Download data sets and pretrained weights, or check those that are there."""


@data.command("fetch", short_help="Download a data set, or pretrained weights.")
@click.argument("name")
@data_option
def fetch(name: str, data_dir: Path) -> None:
    """Download NAME, a data set (cifar100) or pretrained weights (resnet50-IMAGENET1K_V1), and check what came.

    What is there already and right is not downloaded again.
    """
    from orchestrator import plugins
    from orchestrator.errors import UnknownName

    if name in plugins.names("data set"):
        plugins.dataset(name).fetch(data_dir)
    elif "-" in name:
        plugins.helper("trainers", "_weights").fetch(name, data_dir)
    else:
        raise UnknownName("data set", name, plugins.names("data set"), "weights are named like resnet50-IMAGENET1K_V1")
    say(f"{name} is there and right")


@data.command("verify", short_help="Check the files of a data set.")
@click.argument("name")
@data_option
def verify(name: str, data_dir: Path) -> None:
    """Check that the files of the data set NAME are there and right."""
    from orchestrator import plugins

    plugins.dataset(name).check(data_dir)
    say(f"{name} is there and right")


COMMANDS: dict[str, Any] = {"data": data}
