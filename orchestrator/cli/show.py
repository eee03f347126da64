"""`orchestrate show`."""

import json
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.lazy_group import Command
from orchestrator.cli.options import format_option, runs_option
from orchestrator.cli.process.standard_streams import data_width, emit
from orchestrator.support.wording import printable


@click.command("show", cls=Command, short_help="Show one run: its setting, curve, failure and files.")
@click.argument("run")
@runs_option
@format_option("text", "json")
def show(run: str, runs: Path, form: str) -> None:
    """Show all that is recorded of RUN, such as part2/7, part2/trials/0007 or part2/retrain/0007-1a2b3c4d.

    That is its state, its setting with the searched hyperparameters first, its learning curve, its test accuracy, where its
    numbers come from, its files, and where a failure arose. Accuracies are fractions, losses are in nats.

    A study that has one run only may be named alone.
    """
    from orchestrator.sessions.run_text import run_text
    from orchestrator.sessions.show import run_details
    from orchestrator.storage.runs import RunsFolder

    found = run_details(*RunsFolder(runs).find_run(run))
    emit(json.dumps(found, indent=1) if form == "json" else printable(run_text(found, data_width())))


COMMANDS: dict[str, Any] = {"show": show}
