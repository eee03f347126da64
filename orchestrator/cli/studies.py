"""`orchestrate studies`."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.lazy_group import LazyGroup
from orchestrator.cli.messages import say
from orchestrator.cli.options import FORMATS, format_option, refuse_idle, runs_option, storage_option
from orchestrator.cli.parameter_types import Location
from orchestrator.cli.process.standard_streams import data_width, emit
from orchestrator.errors import InvalidInput
from orchestrator.storage.commands import command
from orchestrator.storage.runs import RunsFolder
from orchestrator.support.activity import doing


@click.group("studies", cls=LazyGroup, default="list", short_help="List, rename, archive or delete studies.")
def studies() -> None:
    """List, rename, archive or delete whole studies.

    Without a command they are listed; the options are those of `orchestrate studies list`.
    """


@studies.command("list", short_help="List all studies, the one worked on last first.")
@runs_option
@format_option(*FORMATS)
def list_(runs: Path, form: str) -> None:
    """List all studies, the one that was worked on last first: the one that commands without STUDY take.

    `trials` are the finished ones of those asked for. `best` is the best value of a COMPLETE trial. The formats json and csv have
    the size in bytes.
    """
    from orchestrator.sessions.studies.listing import COLUMNS, listed, shown

    rows = listed(RunsFolder(runs), say)
    if not rows:
        say(f"there is no study in {runs}; begin one with: {command(runs, 'study', 'PLAN', '--trials', 'N')}")
    if form == "json":
        emit(json.dumps(rows, indent=1))
        return
    from orchestrator.sessions.tables import render_rows

    if form == "csv":
        # Not None, which would make a column of whole numbers one of floats.
        texts = [{name: "" if row[name] is None else row[name] for name in COLUMNS} for row in rows]
        emit(render_rows(texts, form) if rows else ",".join(COLUMNS) + "\n", end="")
    elif rows:
        emit(render_rows([shown(row) for row in rows], form, width=data_width()), end="")


@studies.command("rename", short_help="Call a study otherwise.")
@click.argument("study")
@click.argument("name")
@storage_option
@runs_option
def rename(study: str, name: str, storage: str | None, runs: Path) -> None:
    """Call STUDY by another NAME: its folder, its runs and its copy in Optuna's database.

    Where that cannot be done whole, nothing is changed. W&B knows a study by its identity, not by its name.
    """
    from orchestrator.sessions.studies.folders import rename_study

    rename_study(RunsFolder(runs), study, name, storage, say)


@studies.command("archive", short_help="Put a study into one file.")
@click.argument("study")
@click.option(
    "--output", type=Location(), metavar="FILE", help="File or folder to write.  [default: STUDY.tar.gz beside the runs folder]"
)
@click.option("--delete", is_flag=True, help="Delete the study once its archive is complete.")
@storage_option
@runs_option
def archive(study: str, output: Path | None, delete: bool, storage: str | None, runs: Path) -> None:
    """Write the folder of STUDY into one compressed file, and verify it.

    The file has its name only once it is complete. It is restored with `tar -xzf FILE -C RUNS`; the copy in Optuna's database is
    then rebuilt by `orchestrate mirror`.
    """
    from orchestrator.sessions.studies.folders import archive_study

    if not delete:
        refuse_idle("without --delete", "storage")
    archive_study(RunsFolder(runs), study, output, storage, say, delete=delete)


@studies.command("delete", short_help="Delete a study.")
@click.argument("study")
@click.option("--yes", is_flag=True, help="Do not ask.")
@storage_option
@runs_option
def delete(study: str, yes: bool, storage: str | None, runs: Path) -> None:
    """Delete STUDY with all its runs, checkpoints and logs, and its copy in Optuna's database. What W&B has online stays.

    It asks first, and needs --yes where nobody can answer. A running study is not deleted.
    """
    from orchestrator.sessions.studies.folders import delete_study

    def confirmed(what: str) -> bool:
        return yes or _answered(what)

    delete_study(RunsFolder(runs), study, storage, confirmed, say)


def _answered(what: str) -> bool:
    """Whether the user agrees that this is deleted. Raises InvalidInput where there is no terminal to ask on."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidInput(f"this would delete {what}; add --yes to do so")
    say(f"this deletes {what}. Delete it? [y/N]")
    with doing("waiting for an answer"):
        return sys.stdin.readline().strip().lower() in ("y", "yes")


COMMANDS: dict[str, Any] = {"studies": studies}
