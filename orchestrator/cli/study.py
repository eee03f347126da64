"""`orchestrate study`."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.messages import say
from orchestrator.cli.options import format_option, storage_option, work_options
from orchestrator.cli.parameter_types import MOST_EPOCHS, Duration, WholeNumber

if TYPE_CHECKING:
    from orchestrator.sessions.open_study import Request
    from orchestrator.sessions.resources import Resources
    from orchestrator.storage.options import Limits
    from orchestrator.storage.status import StudyStatus


@click.command("study", short_help="Search for the best hyperparameters.")
@click.argument("plan")
@click.option("--trials", type=WholeNumber(1), metavar="N", help="How many finished trials the study shall have in all.")
@click.option("--study", "name", metavar="NAME", help="Name of the study.  [default: PLAN, or PLAN-DATASET]")
@click.option("--dataset", metavar="NAME", help="Data set: cifar100, cifar10, digits, folder:PATH.  [default: the plan's]")
@click.option("--epochs", type=WholeNumber(1, MOST_EPOCHS), metavar="E", help="Epochs of a trial.  [default: the plan's]")
@click.option("--seed", type=WholeNumber(0), metavar="S", help="Seed of everything that is random in the study.  [default: 0]")
@click.option(
    "--pruner",
    metavar="NAME",
    help="Which trials are ended early: promote, median, percentile, patient, asha, hyperband, none.  [default: the plan's]",
)
@click.option("--sampler", metavar="NAME", help="What suggests the next trial: tpe, random.  [default: tpe]")
@click.option(
    "--budget",
    type=Duration(),
    metavar="TIME",
    help="Wall time of this command and what follows it: the search ends when the rest, as measured, is what confirmation, full "
    "retrain and submission will need. 90s, 45m, 6h, 1.5d.",
)
@click.option(
    "--patience", type=WholeNumber(1), metavar="N", help="End when N trials, one after the other, brought no better one."
)
@click.option(
    "--replicate", is_flag=True, help="When every setting of the search space was tried, train them again with fresh seeds."
)
@click.option("--dry-run", is_flag=True, help="Say what it would do, and the time and disk it expects; write nothing.")
@storage_option
@format_option("table", "json")
@work_options
def study(
    plan: str,
    trials: int | None,
    name: str | None,
    dataset: str | None,
    epochs: int | None,
    seed: int | None,
    pruner: str | None,
    sampler: str | None,
    budget: float | None,
    patience: int | None,
    replicate: bool,
    dry_run: bool,
    storage: str | None,
    form: str,
    runs: Path,
    data_dir: Path,
    **work: Any,
) -> int:
    """Search for the best hyperparameters of PLAN, a plan's name or its Python file.

    The study ends when it has exactly N finished trials. The same command goes on with a study that was interrupted, and a
    larger N extends it; then all options but --trials may be left out. Only --trials, --budget, --patience, --replicate, --mirror
    and where it works (--device, --workers, --workers-per-device, --executor, --ray-address) may differ from what the study was
    begun with. No setting is tried twice: a study ends when its search space is exhausted, unless --replicate is given.
    """
    began = time.time()  # the libraries that come next take seconds, which a budget counts
    from orchestrator.sessions.open_study import Request
    from orchestrator.sessions.resources import Resources
    from orchestrator.sessions.study import conduct
    from orchestrator.storage.options import Limits

    request = Request(
        plan=plan,
        trials=trials,
        study=name,
        dataset=dataset,
        epochs=epochs,
        seed=seed,
        pruner=pruner,
        sampler=sampler,
        storage=storage,
    )
    resources = Resources(runs=runs, data_folder=data_dir, **work)
    limits = Limits(budget=budget, patience=patience, replicate=replicate)
    if dry_run:
        return _rehearse(request, limits, resources, form)
    outcome = conduct(request, limits, resources, say, began=began)
    if form == "json":
        click.echo(json.dumps(outcome.plain()))
    if outcome.exit_code:
        say(f"error: every trial failed; {_last_failure(outcome)}")
    return outcome.exit_code


def _rehearse(request: "Request", limits: "Limits", resources: "Resources", form: str) -> int:
    sys.dont_write_bytecode = True  # of the user's plug-ins either
    from orchestrator.sessions.dry_run import rehearse

    rehearsal = rehearse(request, limits, resources, say)
    click.echo(json.dumps(rehearsal.plain()) if form == "json" else rehearsal.text())
    return 0


def _last_failure(outcome: "StudyStatus") -> str:
    last = outcome.trials[-1]
    reason = f"{last.failure.kind}: {last.failure.message}" if last.failure is not None else "for no recorded reason"
    return f"the last one, {last.run_id}, {reason}; the workers' logs are in the folder logs of the study"


COMMANDS: dict[str, Any] = {"study": study}
