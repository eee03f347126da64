"""`orchestrate enqueue`."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.lazy_group import Command
from orchestrator.cli.messages import say
from orchestrator.cli.options import runs_option


@click.command("enqueue", cls=Command, short_help="Add a setting to try next.")
@click.argument("study")
@click.argument("values", nargs=-1, required=True, metavar="NAME=VALUE...")
@runs_option
def enqueue(study: str, values: tuple[str, ...], runs: Path) -> None:
    """Let STUDY try a setting next.

    NAME=VALUE sets a hyperparameter that the study searches, as in learning_rate=0.03; those that are left out are sampled. The
    trial counts as one of the requested trials. It starts when a worker is free, or with the next session.
    """
    from orchestrator.sessions.enqueue import enqueue as add
    from orchestrator.storage.runs import RunsFolder

    add(RunsFolder(runs).known(study), values, say)


COMMANDS: dict[str, Any] = {"enqueue": enqueue}
