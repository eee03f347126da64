"""The pruner `promote`: every trial pauses after a few epochs, and the most promising ones are resumed.

A trial is an exact prefix of its own full schedule, with its checkpoint kept, so no epoch is trained twice. From 20
trials on, nothing depends on how many there will be: a study that is extended continues as if it had been asked for more from the
beginning. One of fewer trials still trains its best one fully, which an extended one might have left.
"""

import math
from collections.abc import Sequence
from typing import Literal, final

import numpy as np

from orchestrator.record import Status
from orchestrator.scheduling.base import Curve, Decision

# Runs are compared after these parts of their training: seldom, because each comparison can lose the best. After two epochs at
# least: with warm-up and BatchNorm the first says little.
_RUNGS = (1 / 16, 1 / 4, 3 / 5)
_FEWEST_EPOCHS = 2
# From the first rung this share of the trials is promoted, and from later ones less, by this power of their epochs. Of the
# first few a smaller share: better ones are still to come. Of 40 trials 10, 4 and 2 are promoted.
_SHARE = 0.33
_POWER = 0.65
_FEW = 10

# Most promotions go by a curve's value and a little of its slope; the others go to the steepest, whatever their value: a high
# learning rate often begins badly and ends best. docs/pruners.md has the measurements.
_CAREFUL = 0.25  # of the recent slope is extrapolated to the end of the training
_BOLD = 1.0
_BOLD_SHARE = 0.4


@final
class Promotion:
    """A scheduler for trials of `epochs` epochs whose objective value is to be maximised or minimised."""

    def __init__(self, *, epochs: int, direction: Literal["maximize", "minimize"]) -> None:
        self._epochs = epochs
        self._maximises = direction == "maximize"
        self._rungs = rungs(epochs)

    @property
    def pauses(self) -> bool:
        """At every rung."""
        return True

    def next_rung(self, epochs: int) -> int:
        """The next of a few epochs at which runs are compared, or the end."""
        return next((rung for rung in self._rungs if rung > epochs), self._epochs)

    def decide(self, curve: Curve, others: Sequence[Curve]) -> Decision:
        """PAUSE at a rung, unless the run is promoted from there."""
        rung = len(curve.values)
        if rung not in self._rungs:
            return Decision.GO_ON
        return Decision.GO_ON if curve.run_id in self._promoted(rung, [curve, *others]) else Decision.PAUSE

    def resume(self, paused: Sequence[Curve], others: Sequence[Curve], *, last: bool) -> str | None:
        """The paused run with the most epochs among those that are promoted now."""
        waiting = {curve.run_id: len(curve.values) for curve in paused}
        curves = [*paused, *(curve for curve in others if curve.run_id not in waiting)]
        for rung in reversed(self._rungs):
            for run_id in self._promoted(rung, curves, at_least=1 if last else 0):
                if waiting.get(run_id) == rung:
                    return run_id
        return None

    def _promoted(self, rung: int, curves: Sequence[Curve], *, at_least: int = 0) -> Sequence[str]:
        """The runs promoted from a rung, the best first: a share of all trials that reached the first rung, or failed."""
        seen = sum(len(curve.values) >= self._rungs[0] or curve.status is Status.FAILED for curve in curves)
        count = max(at_least, math.floor(share(rung, self._rungs[0], seen) * seen))
        arrived = [curve for curve in curves if len(curve.values) >= rung and curve.status is not Status.FAILED]
        arrived.sort(key=lambda curve: curve.number)
        return [arrived[index].run_id for index in self._ranked(rung, arrived)[:count]]

    def _ranked(self, rung: int, arrived: Sequence[Curve]) -> Sequence[int]:
        """Indices in `arrived`, the preferred one first, by what was known after the rung."""
        values = np.array([curve.values[:rung] for curve in arrived]).reshape(len(arrived), rung)
        cost = 1.0 - values if self._maximises else values
        cost[~np.isfinite(cost)] = np.inf
        careful, bold = (_order(self._extrapolated(cost, part)) for part in (_CAREFUL, _BOLD))
        # Each list gives out its share of the promotions in turn.
        turns = np.fmin((careful + 0.5) / (1 - _BOLD_SHARE), (bold + 0.5) / _BOLD_SHARE)
        return [int(index) for index in np.lexsort((careful, turns))]

    def _extrapolated(self, cost: np.ndarray, part: float) -> np.ndarray:
        """Runs × rung costs, extrapolated to the last epoch by the power law of their second half, with a part of its exponent.

        A cost is a loss, or the error 1 - accuracy. One that rises, or is not positive, stays what it is.
        """
        rung = cost.shape[1]
        half = rung // 2
        now, before = cost[:, -1], cost[:, half - 1]
        falls = (now > 0) & (now < before) & np.isfinite(before)
        ratio = np.divide(now, before, out=np.ones_like(now), where=falls)
        return np.where(falls, now * ratio ** (part * math.log(self._epochs / rung) / math.log(rung / half)), now)


def _order(costs: np.ndarray) -> np.ndarray:
    """Of each cost, how many come before it."""
    return np.argsort(np.argsort(costs, kind="stable"), kind="stable")


def rungs(epochs: int) -> tuple[int, ...]:
    """The epochs after which trials of so many epochs are compared."""
    wanted = {max(_FEWEST_EPOCHS, round(part * epochs)) for part in _RUNGS}
    return tuple(sorted(rung for rung in wanted if rung < epochs))


def share(rung: int, first: int, trials: int) -> float:
    """The share of so many trials that is promoted from a rung."""
    return _SHARE * math.pow(first / rung, _POWER) * trials / (trials + _FEW)
