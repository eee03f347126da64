"""`orchestrate leaderboard`."""

from pathlib import Path

import click

from orchestrator.cli.lazy_group import Command
from orchestrator.cli.messages import say
from orchestrator.cli.options import FORMATS, format_option, runs_option
from orchestrator.cli.parameter_types import WholeNumber
from orchestrator.cli.process.standard_streams import data_width, emit


@click.command("leaderboard", cls=Command, short_help="List all runs, best first.")
@click.argument("studies", nargs=-1, metavar="[STUDY]...")
@click.option("--top", type=WholeNumber(1), metavar="N", help="Show the first N rows only.  [default: all]")
@runs_option
@format_option(*FORMATS)
@click.option(
    "--report", "name", metavar="NAME", default="leaderboard", show_default=True, help="Table to print: a file name in reports/."
)
def leaderboard(studies: tuple[str, ...], top: int | None, runs: Path, form: str, name: str) -> None:
    """List all runs of one or more studies, best first. Accuracies are fractions.

    Without STUDY, the most recently used study is shown. A table leaves out columns that are empty, and on a terminal those that
    do not fit. The other formats have every column.
    """
    from orchestrator import plugins
    from orchestrator.sessions import tables
    from orchestrator.storage.runs import RunsFolder

    plugins.report(name)  # before the runs are read, which may take longer
    store = RunsFolder(runs)
    chosen = tuple(dict.fromkeys(studies)) or (store.latest().name,)
    found = tables.reported(name, tables.frames(store, chosen), form, width=data_width(), top=top)
    emit(found.text, end="")
    if found.note:
        say(found.note)


COMMANDS = {"leaderboard": leaderboard}
