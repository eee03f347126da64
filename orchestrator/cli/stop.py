"""`orchestrate stop`."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.lazy_group import Command
from orchestrator.cli.messages import say
from orchestrator.cli.options import runs_option


@click.command("stop", cls=Command, short_help="Stop a running study and suspend its trials.")
@click.argument("study")
@runs_option
def stop(study: str, runs: Path) -> None:
    """Stop a running STUDY. Its trials are checkpointed and suspended after their current epochs.

    The command that runs the study, or its retrain, then ends with exit code 0. Run it again to resume.
    """
    from orchestrator.storage.runs import RunsFolder

    folder = RunsFolder(runs).known(study)
    if not folder.locked():
        say(f"{study} is not running")
        return
    folder.request_stop()
    say(f"stop requested: {study} ends after the current epochs")


COMMANDS: dict[str, Any] = {"stop": stop}
