"""`orchestrate study`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.lazy_group import Command
from orchestrator.cli.messages import say
from orchestrator.cli.options import format_option, new_work_options, skip_damaged_option, storage_option
from orchestrator.cli.parameter_types import Duration, WholeNumber
from orchestrator.cli.process.standard_streams import emit
from orchestrator.recipe import MOST_EPOCHS
from orchestrator.support.clock import SystemClock
from orchestrator.support.wording import printable

if TYPE_CHECKING:
    from orchestrator.sessions.open_study import Request
    from orchestrator.sessions.resources import Resources
    from orchestrator.storage.status import StudyStatus
    from orchestrator.storage.study_options import Limits


@click.command("study", cls=Command, short_help="Search for the best hyperparameters.")
@click.argument("plan")
@click.option("--trials", type=WholeNumber(1), metavar="N", help="Number of finished trials, in total.")
@click.option("--study", "name", metavar="NAME", help="Name of the study.  [default: PLAN, or PLAN-DATASET]")
@click.option("--dataset", metavar="NAME", help="Data set: cifar100, cifar10, digits, folder:PATH.  [default: the plan's]")
@skip_damaged_option
@click.option("--epochs", type=WholeNumber(1, MOST_EPOCHS), metavar="E", help="Epochs per trial.  [default: the plan's]")
@click.option("--seed", type=WholeNumber(0), metavar="S", help="Seed of the sampler and of the trials.  [default: 0]")
@click.option(
    "--pruner",
    metavar="NAME",
    help="Pruner: promote, median, percentile, patient, asha, hyperband, none.  [default: the plan's]",
)
@click.option("--sampler", metavar="NAME", help="Sampler: tpe, random.  [default: tpe]")
@click.option(
    "--budget",
    type=Duration(),
    metavar="TIME",
    help="Wall time, such as 90s, 45m, 6h or 1.5d. The search leaves enough of it for retrain and submission.",
)
@click.option("--patience", type=WholeNumber(1), metavar="N", help="End after N trials in a row without a better one.")
@click.option("--replicate", is_flag=True, help="When all settings have been tried, repeat them with new seeds.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, with estimated time and disk space.")
@storage_option
@format_option("table", "json")
@new_work_options
def study(
    plan: str,
    trials: int | None,
    name: str | None,
    dataset: str | None,
    skip_damaged: bool,
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
    data_dir: Path | None,
    **work: Any,
) -> int:
    """Search for the best hyperparameters of PLAN, the name or the Python file of a plan.

    The study ends after exactly N finished trials. Run the same command to resume an interrupted study. A larger N extends it.
    On resume, the options that define the study may be left out.

    These options may change on resume: --trials, --budget, --patience, --replicate, --mirror, --device, --workers,
    --workers-per-device, --executor, --ray-address. Any other change is refused.

    No setting is tried twice. The study ends early when its search space is exhausted, unless --replicate is given.
    """
    began = SystemClock().elapsed()  # the imports below take seconds, which count towards the budget
    from orchestrator.sessions.open_study import Request
    from orchestrator.sessions.resources import Resources
    from orchestrator.sessions.study import plain, run_study
    from orchestrator.storage.study_options import Limits

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
        skip_damaged=skip_damaged,
    )
    resources = Resources(runs=runs, data_folder=data_dir, **work)
    limits = Limits(budget=budget, patience=patience, replicate=replicate)
    if dry_run:
        return _dry_run(request, limits, resources, form)
    outcome = run_study(request, limits, resources, say, began=began)
    if form == "json":
        emit(json.dumps(plain(outcome)))
    if outcome.exit_code:
        say(f"error: every trial failed; {_last_failure(outcome, resources)}")
    return outcome.exit_code


def _dry_run(request: "Request", limits: "Limits", resources: "Resources", form: str) -> int:
    sys.dont_write_bytecode = True  # also for the user's plug-ins: a dry run writes nothing
    from orchestrator.sessions.dry_run import dry_run

    planned = dry_run(request, limits, resources, say)
    emit(json.dumps(planned.plain()) if form == "json" else printable(planned.text()))
    return 0


def _last_failure(outcome: "StudyStatus", resources: "Resources") -> str:
    last = outcome.trials[-1]
    reason = f"{last.failure.kind}: {last.failure.message}" if last.failure is not None else "no reason was recorded"
    printed = {
        "in-process": "was printed when it failed",
        "processes": f"is in {resources.runs / outcome.study.name / 'logs'}",
        "ray": f"is in {resources.runs / outcome.study.name / 'logs'} of its worker's machine",
    }
    return f"the last one, {last.run_id}, failed with {reason}; its traceback {printed[resources.executor]}"


COMMANDS: dict[str, Any] = {"study": study}
