"""`orchestrate baselines`."""

import json
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.options import FORMATS, format_option

if TYPE_CHECKING:
    from orchestrator.contracts import ReferenceSystem


@click.command("baselines", short_help="The fifteen reference systems.")
@format_option(*FORMATS)
def baselines(form: str) -> None:
    """List the fifteen reference systems of public reports on the challenge: `orchestrate train NAME` runs one.

    The json form has for each its whole recipe, what its report says came of it (accuracies as fractions), and what the report
    leaves open and was chosen here.
    """
    from orchestrator import plugins

    systems = plugins.reference_systems()
    if form == "json":
        click.echo(json.dumps([_whole(system) for system in systems], indent=1, ensure_ascii=False))
        return
    from orchestrator.sessions.tables import render_rows

    click.echo(render_rows([_row(system) for system in systems], form), nl=False)


def _whole(system: "ReferenceSystem") -> dict[str, Any]:
    from orchestrator.support.serialization import to_plain

    return {
        "name": system.name,
        "system": system.system,
        "part": system.part,
        "parameters": system.parameters,
        "weights": system.weights or None,
        "epochs": system.epochs,
        "recipe": to_plain(system.recipe()),
        "reported": to_plain(system.reported),
        "choices": list(system.choices),
    }


def _row(system: "ReferenceSystem") -> dict[str, Any]:
    return {
        "system": system.system,
        "name": system.name,
        "trainer": system.trainer,
        "parameters": f"{system.parameters:,}",
        "weights": system.weights,
        "epochs": system.epochs,
        "reported": system.reported.text(),
    }


COMMANDS: dict[str, Any] = {"baselines": baselines}
