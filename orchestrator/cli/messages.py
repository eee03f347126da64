"""Messages for the user."""

import contextlib

import click

from orchestrator.support.wording import printable


def say(line: str) -> None:
    """Print a line to stderr, so that stdout holds only data. A stderr that is closed or full is ignored."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(printable(line), err=True)
