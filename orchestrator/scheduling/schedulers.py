"""From a pruner's name to the scheduler of a study."""

from typing import Literal

import optuna

from orchestrator.scheduling.base import Scheduler
from orchestrator.scheduling.no_pruning import NoPruning
from orchestrator.scheduling.optuna_pruners import pruner_named
from orchestrator.scheduling.promotion import Promotion
from orchestrator.scheduling.pruning import Pruning


def scheduler(
    pruner: str | optuna.pruners.BasePruner, *, epochs: int, direction: Literal["maximize", "minimize"], seed: int
) -> Scheduler:
    """The scheduler for trials of `epochs` epochs; `pruner` is a name in PRUNERS or a pruner of Optuna's. Raises UnknownName."""
    if pruner == "promote":
        return Promotion(epochs=epochs, direction=direction)
    found = pruner_named(pruner, epochs)
    if isinstance(found, optuna.pruners.NopPruner):
        return NoPruning()
    return Pruning(found, epochs=epochs, direction=direction, seed=seed)
