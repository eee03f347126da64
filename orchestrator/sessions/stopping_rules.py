"""From the limits that a user sets for a session to the rules that end it."""

from orchestrator import plugins
from orchestrator.scheduling.optuna_pruners import warm_up
from orchestrator.sessions.open_study import OpenedStudy
from orchestrator.sessions.submit import most_predictions
from orchestrator.stopping.budget import Budget
from orchestrator.stopping.rules import NoImprovement, StoppingRule, StopRequested
from orchestrator.support.clock import Clock


def stopping_rules(opened: OpenedStudy, began: float, clock: Clock) -> list[StoppingRule]:
    """The rules by which a session may end early; it began at `began`, as `elapsed` of the clock. The caller holds the lock."""
    rules: list[StoppingRule] = [StopRequested(opened.folder)]
    if opened.file.limits.patience is not None:
        rules.append(NoImprovement(opened.file.limits.patience))
    time = budget(opened, began, clock)
    return [*rules, time] if time is not None else rules


def budget(opened: OpenedStudy, began: float, clock: Clock) -> Budget | None:
    """The rule about time, if there is a budget. What follows the search is that of the plan, on this data."""
    seconds = opened.file.limits.budget
    if seconds is None:
        return None
    dataset = opened.search.options.dataset
    info = plugins.dataset(dataset).info(opened.data_folder)
    return Budget(
        seconds=seconds,
        began=began,
        clock=clock,
        plan=opened.plan,
        info=info,
        predictions=most_predictions(dataset, info, opened.data_folder),
        useful_epochs=min(warm_up(opened.plan.epochs), opened.plan.epochs),
    )
