"""`orchestrate mirror`."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.lazy_group import Command
from orchestrator.cli.messages import say
from orchestrator.cli.options import chosen_study, mirror_option, runs_option, storage_option


@click.command("mirror", cls=Command, short_help="Rebuild the copies in W&B and Optuna's database.")
@click.argument("study", required=False)
@mirror_option
@storage_option
@runs_option
def copies(study: str | None, mirror: str, storage: str | None, runs: Path) -> None:
    """Rebuild the copies of STUDY in Weights & Biases and in Optuna's database from its run folders.

    Without STUDY, the most recently used study is taken.
    """
    from orchestrator.sessions.mirror import rebuild_copies
    from orchestrator.storage.runs import RunsFolder

    store = RunsFolder(runs)
    rebuild_copies(chosen_study(store, study), store, mirror, storage, say)


COMMANDS: dict[str, Any] = {"mirror": copies}
