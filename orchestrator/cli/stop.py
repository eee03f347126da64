"""`orchestrate stop`."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.messages import say
from orchestrator.cli.options import runs_option


@click.command("stop", short_help="End a study's session politely.")
@click.argument("study")
@runs_option
def stop(study: str, runs: Path) -> None:
    """Ask whoever works on STUDY to end: what is trained is paused after its epoch, with its checkpoint kept.

    The command that conducts the study, or retrains its best, then ends with exit code 0, and goes on when it is given again.
    """
    from orchestrator.storage.runs import RunsFolder

    folder = RunsFolder(runs).known(study)
    if not folder.locked():
        say(f"nobody is working on {study}: there is nothing to stop")
        return
    folder.ask_to_stop()
    say(f"asked: work on {study} ends when the epochs that run now are over")


COMMANDS: dict[str, Any] = {"stop": stop}
