"""From the limits that a user sets for a session to the rules that end it."""

import math

from orchestrator import plugins
from orchestrator.scheduling.optuna_pruners import warm_up
from orchestrator.search.spaces import points
from orchestrator.sessions.open_study import OpenedStudy
from orchestrator.sessions.submit import most_predictions
from orchestrator.stopping.budget import Budget
from orchestrator.stopping.rules import NoImprovement, StoppingRule, StopRequested
from orchestrator.support.clock import Clock
from orchestrator.support.wording import several


def stopping_rules(opened: OpenedStudy, began: float, clock: Clock) -> list[StoppingRule]:
    """The rules by which a session may end early; it began at `began`, as `elapsed` of the clock. The caller holds the lock."""
    rules: list[StoppingRule] = [StopRequested(opened.folder)]
    if opened.file.limits.patience is not None:
        rules.append(NoImprovement(opened.file.limits.patience))
    time = budget(opened, began, clock)
    return [*rules, time] if time is not None else rules


def idle_limits(opened: OpenedStudy) -> list[str]:
    """A note for each limit that cannot act on this study as it is; one may, after the study was extended."""
    limits, trials = opened.file.limits, opened.search.trials
    notes = []
    if limits.patience is not None and limits.patience >= trials:
        notes.append(f"note: --patience {limits.patience} cannot end a study of {several(trials, 'trial')} early")
    if limits.replicate and math.isinf(points(opened.plan.space).count):
        notes.append(
            "note: --replicate does nothing here, since a space with a continuous hyperparameter has settings without end"
        )
    return notes


def budget(opened: OpenedStudy, began: float, clock: Clock) -> Budget | None:
    """The rule about time, if there is a budget. What follows the search is that of the plan, on this data."""
    seconds = opened.file.limits.budget
    if seconds is None:
        return None
    dataset = opened.search.options.dataset
    info = plugins.dataset_info(dataset, opened.data_folder)
    return Budget(
        seconds=seconds,
        began=began,
        clock=clock,
        plan=opened.plan,
        info=info,
        predictions=most_predictions(dataset, info, opened.data_folder),
        useful_epochs=min(warm_up(opened.plan.epochs), opened.plan.epochs),
    )
