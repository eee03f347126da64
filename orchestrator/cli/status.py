"""`orchestrate status`."""

import json
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.lazy_group import Command
from orchestrator.cli.options import chosen_study, format_option, runs_option
from orchestrator.cli.process.standard_streams import emit
from orchestrator.support.wording import printable


@click.command("status", cls=Command, short_help="Show the progress of a study.")
@click.argument("study", required=False)
@runs_option
@format_option("table", "json")
def status(study: str | None, runs: Path, form: str) -> None:
    """Show the progress of STUDY. Without STUDY, the most recently used study is shown."""
    from orchestrator.storage.runs import RunsFolder
    from orchestrator.storage.status import study_status

    found = study_status(chosen_study(RunsFolder(runs), study))
    emit(json.dumps(found.plain()) if form == "json" else printable(found.text()))


COMMANDS: dict[str, Any] = {"status": status}
