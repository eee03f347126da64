"""The study that asks Optuna what to try next, and which runs are not worth going on with.

Optuna sees an in-memory study that is computed from our curves and never read back: trials have the numbers, parameters,
values and states of the records. So stopping, resuming, pausing and a lost database change nothing.
"""

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, final

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from orchestrator.contracts import Baseline, StudyPlan
from orchestrator.record import FailureKind, RunRecord, Status
from orchestrator.scheduling.base import Curve, Scheduler
from orchestrator.scheduling.promotion import Promotion
from orchestrator.scheduling.pruners import REMEMBERING, pruner_named
from orchestrator.scheduling.pruning import NoPruning, Pruning
from orchestrator.search.samplers import UnusedPointSampler, sampler_named
from orchestrator.search.spaces import contains, points
from orchestrator.search.unused_points import Coordinates
from orchestrator.support.seeds import derive

optuna.logging.set_verbosity(optuna.logging.WARNING)

_STATES = {
    Status.COMPLETE: TrialState.COMPLETE,
    Status.PRUNED: TrialState.PRUNED,
    Status.PAUSED: TrialState.PRUNED,  # so that good paused trials attract the sampler
    Status.FAILED: TrialState.FAIL,
}

# Times that the sampler is asked for a setting that is not known yet: each draws again, and most collisions end with the first.
_ATTEMPTS = 6


@final
class OptunaStudy:
    """Asks Optuna, in the order of trial numbers. Not thread safe.

    `sampler` is a name in SAMPLERS, `pruner` one in PRUNERS, or a pruner of Optuna's itself. Raises UnknownName.
    """

    def __init__(
        self, plan: StudyPlan, *, seed: int, sampler: str = "tpe", pruner: str | optuna.pruners.BasePruner = "promote"
    ) -> None:
        self._promotes = pruner == "promote"
        if isinstance(pruner, str):
            pruner = pruner_named(pruner, plan.epochs)
        self._space = dict(plan.space)
        self._points = points(self._space)
        self._taken: set[Coordinates] = set()  # the settings that trials have
        self._metric = plan.metric
        self._baselines = fitting(plan)
        self._seed = seed
        self._epochs = plan.epochs
        self._sampler = sampler_named(sampler)
        self._asked: dict[int, int] = {}  # by trial: the last epoch after which the pruner was asked in this session
        self._pruner = pruner
        self._prunes = not isinstance(pruner, optuna.pruners.NopPruner)
        self._remembers = isinstance(pruner, REMEMBERING)
        self._references: set[str | None] = set()
        self._params: dict[int, dict[str, Any]] = {}
        self._infeasible: dict[int, FailureKind] = {}
        self._curves: dict[int, Curve] = {}
        self._live: dict[int, optuna.Trial] = {}
        self._optuna: optuna.Study | None = None
        # What the sampler samples together. It finds out by looking at every trial, and each of ours has the whole space: once it
        # has found something, it would only find the same.
        self._together: dict[str, BaseDistribution] = {}

    @property
    def exhausted(self) -> bool:
        """Whether every point of the space is some trial's setting."""
        return len(self._taken) >= self._points.count

    def ask(self, number: int, given: Mapping[str, Any] = MappingProxyType({})) -> tuple[dict[str, Any], str | None]:
        """The sampled hyperparameters of trial `number`, the next one, and the reference system that they are from, if any.

        Whatever `given` names has the value given there; with nothing given, the plan's reference settings come first. The
        setting is no known one, unless `given` leaves only such. Depends on the study's seed, the number, `given`, and what is
        known of the trials before it; on nothing else.
        """
        study = self._current()
        baseline = None if given else self._next_baseline()
        fixed = dict(baseline.params) if baseline is not None else dict(given)
        study.sampler = UnusedPointSampler(
            (self._sampler(derive(self._seed, "sampler", number, attempt)) for attempt in range(_ATTEMPTS)),
            space=self._space,
            joint=self._together,
            points=self._points,
            taken=self._taken,
            fixed=fixed,
            seed=derive(self._seed, "nearest", number),
        )
        if fixed:
            study.enqueue_trial(fixed)
        trial = study.ask(self._space)
        self._live[number] = trial
        return dict(trial.params), baseline.system if baseline is not None else None

    def refuses(self, given: Mapping[str, Any]) -> str:
        """Why a trial cannot be given these values, or ""."""
        for name, value in given.items():
            if name not in self._space:
                return f"the study samples no {name!r}"
            if not contains(self._space[name], value):
                return f"{name} = {value!r} is not in its range"
        return ""

    def know(self, record: RunRecord, values: Iterable[float]) -> None:
        """Take over what is recorded of a trial: its parameters, its status, and its worth after each epoch (NaN: none yet)."""
        curve = Curve(run_id=record.run_id, number=record.number, status=record.status, values=tuple(values))
        before = self._curves.get(record.number)
        self._curves[record.number] = curve
        if record.failure is not None and record.failure.kind.of_setting:
            self._infeasible[record.number] = record.failure.kind
        if record.number not in self._params:
            self._params[record.number] = {name: record.recipe.params[name] for name in self._space}
            self._taken.add(self._points.coordinates(record.recipe.params))
            self._references.add(record.reference)
        if not self._carry_on(before, curve):
            self._optuna = None

    def curve(self, number: int) -> Curve:
        """What is known of a trial."""
        return self._curves[number]

    def setting(self, number: int) -> Mapping[str, Any]:
        """The sampled hyperparameters that a trial has."""
        return self._params[number]

    def others(self, number: int) -> list[Curve]:
        """What is known of all trials but this one."""
        return [curve for other, curve in self._curves.items() if other != number]

    def scheduler(self) -> Scheduler:
        """The scheduler that goes with the study's pruner."""
        if self._promotes:
            return Promotion(epochs=self._epochs, direction=self._metric.direction)
        return Pruning(self._should_prune) if self._prunes else NoPruning()

    def _next_baseline(self) -> Baseline | None:
        """The first reference setting that was not tried."""
        return next((found for found in self._baselines if not self._tried(found)), None)

    def _tried(self, baseline: Baseline) -> bool:
        if self._space.keys() <= baseline.params.keys():
            return self._points.coordinates(baseline.params) in self._taken
        return baseline.system in self._references

    def _should_prune(self, number: int) -> bool:
        self._current()
        self._asked[number] = len(self._curves[number].values)
        return self._live[number].should_prune()

    def _was_asked(self, curve: Curve, step: int) -> bool:
        """Whether the pruner was asked about a trial after this epoch, as it is once after each.

        About a running one's last epoch it is still to be asked, unless it was in an attempt that was lost since.
        """
        known = len(curve.values) if curve.status is not Status.RUNNING else len(curve.values) - 1
        return step < self._epochs and step <= max(known, self._asked.get(curve.number, 0))

    def _carry_on(self, before: Curve | None, now: Curve) -> bool:
        """Tell the in-memory study what is new. False where that cannot be told and it must be computed again."""
        trial = self._live.get(now.number)
        if self._optuna is None or trial is None:
            return False
        told = before.values if before is not None else ()
        if not _same(now.values[: len(told)], told):
            return False
        for step, value in enumerate(now.values[len(told) :], start=len(told) + 1):
            if math.isfinite(value):
                trial.report(value, step)
                if self._remembers and now.status is Status.RUNNING and self._was_asked(now, step):
                    trial.should_prune()
        if now.status is Status.RUNNING:
            return True
        del self._live[now.number]
        self._tell(self._optuna, trial, now)
        return True

    def _tell(self, study: optuna.Study, trial: optuna.Trial, curve: Curve) -> None:
        """How a trial ended, or that it paused."""
        state, constraints = self._told(curve)
        for name, violation in constraints.items():
            trial.set_constraint(name, violation)
        study.tell(trial, curve.values[-1] if state is TrialState.COMPLETE else None, state=state)

    def _told(self, curve: Curve) -> tuple[TrialState, dict[str, float]]:
        """As what the sampler sees a trial, and the constraints that it violates.

        A setting that ran out of memory or diverged is told as infeasible, and as PRUNED: of a FAIL samplers read nothing, and
        propose the same again and again (docs/decisions.md has the figures).
        """
        if curve.number in self._infeasible:
            return TrialState.PRUNED, {self._infeasible[curve.number].value: 1.0}
        if curve.status is Status.COMPLETE and not math.isfinite(curve.values[-1]):
            return TrialState.FAIL, {}  # where the last epoch counts and measured nothing: Optuna has no COMPLETE without a value
        return _STATES[curve.status], {}

    def _current(self) -> optuna.Study:
        """The in-memory study, computed anew where it does not know what we know."""
        if self._optuna is None:
            self._live = {}
            self._optuna = optuna.create_study(
                study_name=f"seed {self._seed}",  # hyperband hashes it
                direction=self._metric.direction,
                sampler=optuna.samplers.RandomSampler(seed=0),  # never heard: what is added has its parameters
                pruner=self._pruner,
            )
            for number in range(max(self._curves, default=-1) + 1):
                if number in self._curves:
                    self._add(self._optuna, number)
                else:  # its folder is gone; numbers must stay what they are
                    self._optuna.add_trial(create_trial(state=TrialState.FAIL))
        return self._optuna

    def _add(self, study: optuna.Study, number: int) -> None:
        """Let a trial take place again in the in-memory study, with what is known of it."""
        curve = self._curves[number]
        if curve.status is not Status.RUNNING and not self._remembers:
            study.add_trial(self._ended(curve))  # a third of the time that asking and telling take
            return
        study.enqueue_trial(self._params[number])
        trial = study.ask(self._space)
        for step, value in enumerate(curve.values, start=1):
            if math.isfinite(value):
                trial.report(value, step)
                if self._remembers and self._was_asked(curve, step):
                    trial.should_prune()
        if curve.status is Status.RUNNING:
            self._live[number] = trial
            return
        self._tell(study, trial, curve)

    def _ended(self, curve: Curve) -> FrozenTrial:
        """The trial that `_tell` makes of a trial that was asked for."""
        state, constraints = self._told(curve)
        reported = {step: value for step, value in enumerate(curve.values, start=1) if math.isfinite(value)}
        return create_trial(
            state=state,
            value=None if state is TrialState.FAIL else next(reversed(reported.values()), None),
            params=self._params[curve.number],
            distributions=self._space,
            intermediate_values=reported,
            constraints=constraints,
        )


def fitting(plan: StudyPlan) -> list[Baseline]:
    """The reference settings that can be first trials: those that the plan calls fitting."""
    return [baseline for baseline in plan.baselines if not baseline.misfit]


def _same(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return len(one) == len(other) and all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(one, other, strict=True))
