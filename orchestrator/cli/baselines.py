"""`orchestrate baselines`."""

import json
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.lazy_group import Command
from orchestrator.cli.options import FORMATS, format_option
from orchestrator.cli.process.standard_streams import data_width, emit

if TYPE_CHECKING:
    from orchestrator.contracts import ReferenceSystem


@click.command("baselines", cls=Command, short_help="List the reference systems.")
@format_option(*FORMATS)
def baselines(form: str) -> None:
    """List the reference systems: published solutions of the challenge, and those in search_spaces/reference_systems.

    To train one: `orchestrate train NAME`. The json format adds the recipe, the reported accuracies (fractions), and the choices
    made where the report is silent.
    """
    from orchestrator import plugins

    systems = plugins.reference_systems()
    if form == "json":
        emit(json.dumps([_whole(system) for system in systems], indent=1, ensure_ascii=False))
        return
    from orchestrator.sessions.tables import render_rows

    emit(render_rows([_row(system) for system in systems], form, width=data_width()), end="")


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
