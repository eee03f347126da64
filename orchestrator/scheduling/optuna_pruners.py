"""Optuna's pruners by name, with their settings for a study of so many epochs."""

from collections.abc import Callable
from typing import final

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from orchestrator.errors import UnknownName

_STARTUP_TRIALS = 5  # COMPLETE before anything is pruned: Optuna's default, and the careful one of its published comparisons


def warm_up(epochs: int) -> int:
    """Epochs in which nothing is pruned: a tenth, and two at least: with warm-up and BatchNorm the first says little."""
    return max(2, round(epochs / 10))


@final
class _Patient(optuna.pruners.BasePruner):
    """Prunes what `wrapped` would, once the last `patience` epochs brought no improvement over all before them.

    Optuna's own PatientPruner waits for values that have become worse; the best value so far, which is what we report where a
    metric's rule is "best", never does, so that it would prune nothing.
    """

    def __init__(self, wrapped: optuna.pruners.BasePruner, *, patience: int) -> None:
        self._wrapped = wrapped
        self._patience = patience

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the trial is flat, and would be pruned by the wrapped pruner."""
        values = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
        before, recent = values[: -self._patience], values[-self._patience :]
        if not before:
            return False
        improved = max(recent) > max(before) if study.direction is StudyDirection.MAXIMIZE else min(recent) < min(before)
        return not improved and self._wrapped.prune(study, trial)


def _patience(epochs: int) -> int:
    """Epochs without an improvement after which a curve counts as flat: a tenth, and two at least.

    With fewer, the noise between two epochs of a setting that still learns looks like a standstill.
    """
    return max(2, round(epochs / 10))


_PRUNERS: dict[str, Callable[[int], optuna.pruners.BasePruner]] = {
    "median": lambda epochs: optuna.pruners.MedianPruner(_STARTUP_TRIALS, warm_up(epochs)),
    "percentile": lambda epochs: optuna.pruners.PercentilePruner(25.0, _STARTUP_TRIALS, warm_up(epochs)),
    "patient": lambda epochs: _Patient(optuna.pruners.MedianPruner(_STARTUP_TRIALS, warm_up(epochs)), patience=_patience(epochs)),
    "asha": lambda epochs: optuna.pruners.SuccessiveHalvingPruner(min_resource=warm_up(epochs)),
    "hyperband": lambda epochs: optuna.pruners.HyperbandPruner(min_resource=warm_up(epochs), max_resource=epochs),
}

# Those that note in a trial which rungs it has passed whenever they are asked: a study that is computed again asks them again.
REMEMBERING = (optuna.pruners.SuccessiveHalvingPruner, optuna.pruners.HyperbandPruner)

PRUNERS = ("none", "promote", *_PRUNERS)


def pruner_named(pruner: str | optuna.pruners.BasePruner, epochs: int) -> optuna.pruners.BasePruner:
    """The pruner of this name for trials of so many epochs; a pruner of Optuna's is returned as it is.

    "none" and "promote", which is a scheduler of its own, prune nothing by Optuna. Raises UnknownName.
    """
    if not isinstance(pruner, str):
        return pruner
    if pruner not in PRUNERS:
        raise UnknownName("pruner", pruner, PRUNERS)
    return _PRUNERS[pruner](epochs) if pruner in _PRUNERS else optuna.pruners.NopPruner()
