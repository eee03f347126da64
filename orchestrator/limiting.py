"""From the limits that a user sets for a session to the rules that end it."""

from pathlib import Path

from orchestrator import plugins
from orchestrator.budget import Budget
from orchestrator.contracts import Clock
from orchestrator.endings import Ending, Patience, Stop
from orchestrator.opening import OpenedStudy
from orchestrator.search.pruners import warm_up
from orchestrator.submitting import most_predictions


def endings(opened: OpenedStudy, began: float, workers: int, data_folder: Path, clock: Clock) -> list[Ending]:
    """The rules by which a session that began at `began` may end early; the caller holds the study's lock."""
    rules: list[Ending] = [Stop(opened.folder)]
    if opened.file.limits.patience is not None:
        rules.append(Patience(opened.file.limits.patience))
    time = budget(opened, began, workers, data_folder, clock)
    return [*rules, time] if time is not None else rules


def budget(opened: OpenedStudy, began: float, workers: int, data_folder: Path, clock: Clock) -> Budget | None:
    """The rule about time, if there is a budget. What follows the search is that of the plan, on this data."""
    seconds = opened.file.limits.budget
    if seconds is None:
        return None
    dataset = opened.file.options.dataset
    suits = plugins.dataset(dataset).suits(data_folder)
    return Budget(
        seconds=seconds,
        began=began,
        clock=clock,
        plan=opened.plan,
        suits=suits,
        workers=workers,
        predictions=most_predictions(dataset, suits, data_folder),
        useful_epochs=min(warm_up(opened.plan.epochs), opened.plan.epochs),
    )
