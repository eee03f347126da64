"""The pruners that are compared: those that a user can name, and Optuna's own with the settings of published comparisons."""

from collections.abc import Callable

import optuna

from orchestrator.scheduling.optuna_pruners import PRUNERS

REFERENCES: dict[str, Callable[[int], optuna.pruners.BasePruner]] = {
    "optuna-median-5-5": lambda epochs: optuna.pruners.MedianPruner(5, 5),  # noqa: ARG005 - start-up trials, warm-up epochs
    "optuna-median": lambda epochs: optuna.pruners.MedianPruner(),  # noqa: ARG005
    "optuna-hyperband": lambda epochs: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs),
    "optuna-percentile-25": lambda epochs: optuna.pruners.PercentilePruner(25.0),  # noqa: ARG005
    # smallest number of epochs, reduction factor
    "optuna-halving-2-3": lambda epochs: optuna.pruners.SuccessiveHalvingPruner(2, 3),  # noqa: ARG005
    "optuna-halving-1-4": lambda epochs: optuna.pruners.SuccessiveHalvingPruner(1, 4),  # noqa: ARG005
}

NAMES = (*PRUNERS, *REFERENCES)


def pruner(name: str, epochs: int) -> str | optuna.pruners.BasePruner:
    """What `OptunaStudy` and `scheduler` take for this name, for trials of so many epochs."""
    return REFERENCES[name](epochs) if name in REFERENCES else name
