"""`orchestrate study`."""

import json
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
from orchestrator.support.environment import no_bytecode_written
from orchestrator.support.serialization import to_plain
from orchestrator.support.wording import printable

if TYPE_CHECKING:
    from orchestrator.sessions.outcome import StudyOutcome
    from orchestrator.sessions.resources import Resources
    from orchestrator.storage.status import StudyStatus


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
def study(form: str, **options: Any) -> int:
    """Search for the best hyperparameters of PLAN, the name or the Python file of a plan.

    The study ends after exactly N finished trials. Run the same command to resume an interrupted study. A larger N extends it.
    On resume, the options that define the study may be left out.

    These options may change on resume: --trials, --budget, --patience, --replicate, --mirror, --device, --workers,
    --workers-per-device, --executor, --ray-address. Any other change is refused.

    No setting is tried twice. The study ends early when its search space is exhausted, unless --replicate is given.
    """
    outcome = conduct(**options)
    if form == "json":
        emit(json.dumps(to_plain(outcome.details)))
    elif outcome.planned:
        emit(printable(outcome.planned))
    return outcome.exit_code


def conduct(
    *,
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
    runs: Path,
    data_dir: Path | None,
    **work: Any,
) -> "StudyOutcome":
    """Hold a session of a study, with the parameters that the command has parsed. Raises OrchestrateError.

    Where every trial failed, that is said, and the outcome has the exit code.
    """
    began = SystemClock().elapsed()  # the imports below take seconds, which count towards the budget
    from orchestrator.sessions.open_study import Request
    from orchestrator.sessions.outcome import outcome_of, outcome_of_dry_run
    from orchestrator.sessions.resources import Resources
    from orchestrator.sessions.study import run_study
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
        from orchestrator.sessions import dry_run as dry_runs

        with no_bytecode_written():  # also for the user's plug-ins: a dry run writes nothing
            return outcome_of_dry_run(dry_runs.dry_run(request, limits, resources, say), runs)
    status = run_study(request, limits, resources, say, began=began)
    if status.exit_code:
        say(f"error: every trial failed; {_last_failure(status, resources)}")
    return outcome_of(status, runs)


def _last_failure(outcome: "StudyStatus", resources: "Resources") -> str:
    from orchestrator.storage.commands import command

    last = outcome.trials[-1]
    logs = resources.runs / outcome.study.name / "logs"
    reason = f"{last.failure.kind}: {last.failure.message}" if last.failure is not None else "no reason was recorded"
    printed = {
        "in-process": "was printed when it failed",
        "processes": f"is in {logs}",
        "ray": f"is in {logs} of its worker's machine",
    }
    see = command(resources.runs, "show", last.run_id)
    return f"the last one, {last.run_id}, failed with {reason}; its traceback {printed[resources.executor]}; see: {see}"


COMMANDS: dict[str, Any] = {"study": study}
