"""Optuna's part in a study: what to try next, and which runs are not worth going on with.

Optuna sees an in-memory study that is computed from our curves and never read back: trials have the numbers, parameters,
values and states of the records. So stopping, resuming, pausing and a lost database change nothing.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, final

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from orchestrator.contracts import Baseline, Curve, Scheduler, StudyPlan
from orchestrator.errors import InvalidInput, UnknownName
from orchestrator.plain import dumps, parse
from orchestrator.points import Axis, Choices, Continuum, Place, Points, Steps
from orchestrator.promotion import Promotion
from orchestrator.record import FailureKind, RunRecord, Status
from orchestrator.scheduling import Pruning, RunOut
from orchestrator.seeds import derive

optuna.logging.set_verbosity(optuna.logging.WARNING)

_STATES = {
    Status.COMPLETE: TrialState.COMPLETE,
    Status.PRUNED: TrialState.PRUNED,
    Status.PAUSED: TrialState.PRUNED,  # so that good paused trials attract the sampler
    Status.FAILED: TrialState.FAIL,
}

# Trials that TPE draws at random before it looks at any result: Optuna's default.
STARTUP_SETTINGS = 10

_SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(n_startup_trials=STARTUP_SETTINGS, seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}

# Times that the sampler is asked for a setting that is not known yet: each draws again, and most collisions end with the first.
_ATTEMPTS = 6

_STARTUP_TRIALS = 5  # trained out before anything is pruned: Optuna's default, and the careful one of its published comparisons


def warm_up(epochs: int) -> int:
    """Epochs in which nothing is pruned: a tenth, and two at least: with warm-up and BatchNorm the first says little."""
    return max(2, round(epochs / 10))


@final
class _Patient(optuna.pruners.BasePruner):
    """Prunes what `wrapped` would, once the last `patience` epochs brought nothing better than all before them.

    Optuna's own PatientPruner waits for values that have become worse; the best value so far, which is what we report where a
    metric's rule is "best", never does, so that it would prune nothing.
    """

    def __init__(self, wrapped: optuna.pruners.BasePruner, *, patience: int) -> None:
        self._wrapped = wrapped
        self._patience = patience

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the trial is flat, and not worth going on with."""
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

# Those that note in a trial which rungs it has passed whenever they are asked: a trial that takes place again is asked again.
_REMEMBERING = (optuna.pruners.SuccessiveHalvingPruner, optuna.pruners.HyperbandPruner)

PRUNERS = ("none", "promote", *_PRUNERS)
SAMPLERS = tuple(_SAMPLERS)


@final
class Study:
    """Asks Optuna, in the order of trial numbers. Not thread safe.

    `pruner` is a name in PRUNERS, or a pruner of Optuna's itself. Raises UnknownName.
    """

    def __init__(
        self, plan: StudyPlan, *, seed: int, sampler: str = "tpe", pruner: str | optuna.pruners.BasePruner = "promote"
    ) -> None:
        if sampler not in _SAMPLERS:
            raise UnknownName("sampler", sampler, SAMPLERS)
        self._promotes = pruner == "promote"
        if isinstance(pruner, str):
            if pruner not in PRUNERS:
                raise UnknownName("pruner", pruner, PRUNERS)
            pruner = _PRUNERS[pruner](plan.epochs) if pruner in _PRUNERS else optuna.pruners.NopPruner()
        self._space = dict(plan.space)
        self._points = points(self._space)
        self._taken: set[Place] = set()  # the settings that trials have
        self._metric = plan.metric
        self._baselines = fitting(plan)
        self._seed = seed
        self._epochs = plan.epochs
        self._sampler = _SAMPLERS[sampler]
        self._pruner = pruner
        self._prunes = not isinstance(pruner, optuna.pruners.NopPruner)
        self._remembers = isinstance(pruner, _REMEMBERING)
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
        study.sampler = _Unused(
            (self._sampler(derive(self._seed, "sampler", number, attempt)) for attempt in range(_ATTEMPTS)),
            space=self._space,
            together=self._together,
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

    def know(self, record: RunRecord, values: Iterable[float]) -> None:
        """Take over what is recorded of a trial: its parameters, its status, and its worth after each epoch (NaN: none yet)."""
        curve = Curve(run_id=record.run_id, number=record.number, status=record.status, values=tuple(values))
        before = self._curves.get(record.number)
        self._curves[record.number] = curve
        if record.failure is not None and record.failure.kind.of_setting:
            self._infeasible[record.number] = record.failure.kind
        if record.number not in self._params:
            self._params[record.number] = {name: record.recipe.params[name] for name in self._space}
            self._taken.add(self._points.place(record.recipe.params))
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
        return Pruning(self._should_prune) if self._prunes else RunOut()

    def _next_baseline(self) -> Baseline | None:
        """The first reference setting that was not tried."""
        return next((found for found in self._baselines if not self._tried(found)), None)

    def _tried(self, baseline: Baseline) -> bool:
        if self._space.keys() <= baseline.params.keys():
            return self._points.place(baseline.params) in self._taken
        return baseline.system in self._references

    def _should_prune(self, number: int) -> bool:
        self._current()
        return self._live[number].should_prune()

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
                if self._remembers and step < self._epochs:
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


@final
class _Unused(optuna.samplers.BaseSampler):
    """Suggests a point that no trial has: asks one sampler after the other, and then goes to the nearest point that is free.

    `samplers` differ in their seeds; `together` is what they sample together, and is noted there once it is known. TPE proposes
    what it finds best, so in a space of few points it proposes the same again and again; next to that is where it would look.
    `fixed` are values that are not its to choose.
    """

    def __init__(
        self,
        samplers: Iterable[optuna.samplers.BaseSampler],
        *,
        space: Mapping[str, BaseDistribution],
        together: dict[str, BaseDistribution],
        points: Points,
        taken: Collection[Place],
        fixed: Mapping[str, Any],
        seed: int,
    ) -> None:
        self._samplers = samplers
        self._space = space
        self._together = together
        self._points = points
        self._taken = taken
        self._fixed = fixed
        self._seed = seed

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """The whole space: a point is known, or not, as a whole."""
        return dict(self._space)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A point that is free; where none is, the last one that was proposed."""
        if search_space.keys() <= self._fixed.keys():
            return {}
        for sampler in self._samplers:
            proposed = {**self._proposal(sampler, study, trial, search_space), **self._fixed}
            if self._points.place(proposed) not in self._taken:
                return proposed
        return self._points.nearest(proposed, self._taken, self._fixed, self._seed) or proposed

    def sample_independent(
        self,
        study: optuna.Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        """Never asked: the points are whole. Raises RuntimeError."""
        raise RuntimeError(f"{param_name} was left to chance")

    def _proposal(
        self,
        sampler: optuna.samplers.BaseSampler,
        study: optuna.Study,
        trial: FrozenTrial,
        space: Mapping[str, BaseDistribution],
    ) -> dict[str, Any]:
        """What Optuna would have suggested with this sampler: what it samples together, and alone what it samples alone."""
        sampler.before_trial(study, trial)
        if not self._together:
            self._together.update(sampler.infer_relative_search_space(study, trial))
        found = sampler.sample_relative(study, trial, dict(self._together))
        for name, distribution in space.items():
            if name not in found:
                found[name] = sampler.sample_independent(study, trial, name, distribution)
        return found


def _axis(distribution: object) -> Axis:
    match distribution:
        case CategoricalDistribution():
            return Choices(values=tuple(distribution.choices))
        case IntDistribution():
            count = (distribution.high - distribution.low) // distribution.step + 1
            return Steps(low=distribution.low, high=distribution.high, step=distribution.step, count=count)
        case FloatDistribution(step=float(step)):
            count = round((distribution.high - distribution.low) / step) + 1
            return Steps(low=distribution.low, high=distribution.high, step=step, count=count)
        case FloatDistribution() if distribution.single():
            return Choices(values=(distribution.low,))
    return Continuum()


def fitting(plan: StudyPlan) -> list[Baseline]:
    """The reference settings that can be first trials: those that the plan calls fitting."""
    return [baseline for baseline in plan.baselines if not baseline.misfit]


def contains(distribution: object, value: object) -> bool:
    """Whether a distribution could have suggested this value. Optuna itself takes any float that is enqueued."""
    match distribution:
        case CategoricalDistribution():
            return value in distribution.choices
        case FloatDistribution() | IntDistribution():
            return isinstance(value, int | float) and distribution.low <= value <= distribution.high
    return False


def middle(space: Mapping[str, Any]) -> dict[str, Any]:
    """The middle of every range, on its own scale: of a logarithmic one the geometric mean; of choices the one in the middle."""
    return {name: _middle(distribution) for name, distribution in space.items()}


def _middle(distribution: Any) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[len(distribution.choices) // 2]
    low, high = distribution.low, distribution.high
    axis = _axis(distribution)
    return axis.value(
        axis.place(low if distribution.single() else math.sqrt(low * high) if distribution.log else (low + high) / 2)
    )


def describe(space: Mapping[str, Any]) -> dict[str, Any]:
    """A search space as plain data: name -> what Optuna's own JSON text of the distribution says."""
    return {name: parse(optuna.distributions.distribution_to_json(distribution)) for name, distribution in space.items()}


def space(described: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """The search space that `describe` described."""
    return {name: optuna.distributions.json_to_distribution(dumps(content)) for name, content in described.items()}


def points(space: Mapping[str, Any]) -> Points:
    """The points of a search space."""
    return Points({name: _axis(distribution) for name, distribution in space.items()})


def value(distribution: BaseDistribution, name: str, text: str) -> Any:
    """The value of the hyperparameter `name` that a user's text means. Raises InvalidInput with what would have been right."""
    axis = _axis(distribution)
    match distribution:
        case CategoricalDistribution():
            for choice in distribution.choices:
                if text in (str(choice), dumps(choice)):
                    return choice
            raise InvalidInput(f"{name} = {text} is none of {', '.join(map(str, distribution.choices))}")
        case FloatDistribution() | IntDistribution():
            try:
                number = float(text)
            except ValueError:
                raise InvalidInput(f"{name} = {text} is no number") from None
            if not contains(distribution, number):  # NaN is in no range
                raise InvalidInput(f"{name} = {text} is outside its range, {distribution.low} to {distribution.high}")
            nearest = axis.value(axis.place(number))
            if not math.isclose(nearest, number, rel_tol=1e-9, abs_tol=1e-12):
                raise InvalidInput(f"{name} = {text} is not on its grid of steps; the nearest value is {nearest}")
            return nearest
    raise InvalidInput(f"{name} cannot be enqueued: {distribution} is no range that is known here")


def _same(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return len(one) == len(other) and all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(one, other, strict=True))
