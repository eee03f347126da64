"""`orchestrate retrain-best` and `orchestrate retrain`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from orchestrator.cli.lazy_group import Command
from orchestrator.cli.messages import say
from orchestrator.cli.options import chosen_study, ood_option, partial_option, work_options
from orchestrator.cli.parameter_types import WholeNumber
from orchestrator.recipe import MOST_EPOCHS

F = TypeVar("F", bound=Callable[..., Any])


def _options(command: F) -> F:
    epochs = click.option(
        "--epochs", type=WholeNumber(1, MOST_EPOCHS), metavar="E", help="Number of epochs.  [default: the plan's retrain epochs]"
    )
    for option in (work_options, partial_option, ood_option, epochs):
        command = option(command)
    return command


@click.command("retrain-best", cls=Command, short_help="Train the best setting fully and write submission.csv.")
@click.argument("study", required=False)
@_options
def retrain_best(study: str | None, runs: Path, **options: Any) -> None:
    """Train the setting of the best COMPLETE trial of STUDY fully and write submission.csv.

    Training starts from scratch with a new seed, on the training and confirmation images. The best epoch is chosen on the
    validation images; its accuracy on the test images is measured once. Run the same command to resume after an interruption.

    Without STUDY, the most recently used study is taken.
    """
    from orchestrator.sessions.retrain import best_trial
    from orchestrator.storage.runs import RunsFolder

    folder = chosen_study(RunsFolder(runs), study, search=True)
    _retrain(folder, best_trial(folder), runs, **options)


@click.command("retrain", cls=Command, short_help="Train the setting of a given run fully.")
@click.argument("run")
@_options
def retrain(run: str, runs: Path, **options: Any) -> None:
    """Train the setting of RUN fully and write submission.csv, as retrain-best does.

    RUN is a trial such as part2/7, or a single run.
    """
    from orchestrator.storage.runs import RunsFolder

    folder, source = RunsFolder(runs).find_run(run)
    _retrain(folder, source.read(), runs, **options)


def _retrain(
    folder: Any, source: Any, runs: Path, *, epochs: int | None, ood_dir: Path | None, partial: bool, **work: Any
) -> None:
    from orchestrator.sessions.resources import Resources
    from orchestrator.sessions.retrain import RetrainRequest, retrain

    resources = Resources(runs=runs, data_folder=work.pop("data_dir"), **work)
    retrain(RetrainRequest(source=source, epochs=epochs, ood_folder=ood_dir, partial=partial), folder, resources, say)


COMMANDS: dict[str, Any] = {"retrain-best": retrain_best, "retrain": retrain}
