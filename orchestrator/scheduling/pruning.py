"""Optuna's pruners as schedulers: after every epoch one of them decides whether the run continues."""

import math
from collections.abc import Sequence
from typing import Literal, final

import optuna
from optuna.trial import TrialState, create_trial

from orchestrator.record import Status
from orchestrator.scheduling.base import Curve, Decision
from orchestrator.scheduling.optuna_pruners import REMEMBERING
from orchestrator.scheduling.optuna_trials import ended_trial, reported, state_of

optuna.logging.set_verbosity(optuna.logging.WARNING)


@final
class Pruning:
    """Asks `pruner` after every epoch of trials of `epochs` epochs.

    The pruner sees an in-memory study of all curves. It is completed from the curves of each decision, and computed again where
    a curve contradicts what it was told: an attempt that began again, or a paused trial that was resumed.
    """

    def __init__(
        self, pruner: optuna.pruners.BasePruner, *, epochs: int, direction: Literal["maximize", "minimize"], seed: int
    ) -> None:
        self._pruner = pruner
        self._epochs = epochs
        self._direction = direction
        self._name = f"seed {seed}"  # hyperband hashes it
        self._remembers = isinstance(pruner, REMEMBERING)
        self._asked: dict[int, int] = {}  # by trial: the last epoch after which the pruner was asked in this session
        self._told: dict[int, Curve] = {}
        self._running: dict[int, optuna.Trial] = {}
        self._count = 0  # of the trials in the study
        self._study = self._empty()

    @property
    def pauses(self) -> bool:
        """Never."""
        return False

    def next_rung(self, epochs: int) -> int:
        """Every epoch."""
        return epochs + 1

    def decide(self, curve: Curve, others: Sequence[Curve]) -> Decision:
        """STOP where the pruner says so."""
        self._update([*others, curve])
        self._asked[curve.number] = len(curve.values)
        return Decision.STOP if self._running[curve.number].should_prune() else Decision.GO_ON

    def resume(self, paused: Sequence[Curve], others: Sequence[Curve], *, last: bool) -> str | None:  # noqa: ARG002 - a pruner pauses nothing
        """The first one: it was suspended when the study was asked for fewer trials, and now it is asked for more."""
        return paused[0].run_id if paused else None

    def _empty(self) -> optuna.Study:
        return optuna.create_study(
            study_name=self._name,
            direction=self._direction,
            sampler=optuna.samplers.RandomSampler(seed=0),  # not used: pruners look at values alone
            pruner=self._pruner,
        )

    def _update(self, curves: Sequence[Curve]) -> None:
        """Let the in-memory study know these curves."""
        # Most are the same objects as at the last decision.
        changed = [curve for curve in curves if self._told.get(curve.number) is not curve]
        if not all(self._continues(curve) for curve in changed):
            self._told, self._running, self._count, self._study = {}, {}, 0, self._empty()
            changed = list(curves)
        for curve in sorted(changed, key=lambda curve: curve.number):
            self._tell(curve)

    def _continues(self, curve: Curve) -> bool:
        """Whether the curve only adds to what the study was told."""
        told = self._told.get(curve.number)
        if told is None:
            return curve.number >= self._count
        if told.status is not Status.RUNNING:
            return state_of(curve) is state_of(told) and _same(curve.values, told.values)
        return _same(curve.values[: len(told.values)], told.values)

    def _tell(self, curve: Curve) -> None:
        """Report a curve's new values, and its end."""
        told = self._told.get(curve.number)
        self._told[curve.number] = curve
        if told is not None and told.status is not Status.RUNNING:
            return
        if told is None:
            self._fill_gap(curve.number)
            self._count = curve.number + 1
            if curve.status is not Status.RUNNING and not self._remembers:
                self._study.add_trial(ended_trial(curve, state_of(curve)))
                return
            self._running[curve.number] = self._study.ask()
        trial = self._running[curve.number]
        for step, value in reported(curve, first=len(told.values) + 1 if told is not None else 1).items():
            trial.report(value, step)
            if self._remembers and self._was_asked(curve, step):
                trial.should_prune()
        if curve.status is not Status.RUNNING:
            del self._running[curve.number]
            state = state_of(curve)
            self._study.tell(trial, curve.values[-1] if state is TrialState.COMPLETE else None, state=state)

    def _fill_gap(self, number: int) -> None:
        """Take the numbers of trials whose folders were deleted: Optuna counts trials itself."""
        for _ in range(self._count, number):
            self._study.add_trial(create_trial(state=TrialState.FAIL))

    def _was_asked(self, curve: Curve, step: int) -> bool:
        """Whether the pruner was asked about a trial after this epoch, as it is once after each.

        About a running one's last epoch it is still to be asked, unless it was in an attempt that was lost since.
        """
        decided = len(curve.values) if curve.status is not Status.RUNNING else len(curve.values) - 1
        return step < self._epochs and step <= max(decided, self._asked.get(curve.number, 0))


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(one, other, strict=True))
