"""`orchestrate enqueue`."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.messages import say
from orchestrator.cli.options import runs_option


@click.command("enqueue", short_help="Try a given setting next.")
@click.argument("study")
@click.argument("values", nargs=-1, required=True, metavar="NAME=VALUE...")
@runs_option
def enqueue(study: str, values: tuple[str, ...], runs: Path) -> None:
    """Let STUDY try a setting next, each NAME=VALUE a hyperparameter that it samples: learning_rate=0.03 dropout=0.1.

    What is not given is sampled. It is one of the trials that the study was asked for, and begins when a worker is free; nothing
    has to be running now.
    """
    from orchestrator.sessions.enqueue import enqueue as add
    from orchestrator.storage.runs import RunsFolder

    add(RunsFolder(runs).known(study), values, say)


COMMANDS: dict[str, Any] = {"enqueue": enqueue}
