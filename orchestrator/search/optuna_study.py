"""The search: which setting to try next, as Optuna's samplers suggest it from the trials' records.

Optuna sees an in-memory study that is computed from the records and never read back: trials have the numbers, parameters,
values and states of the records. So stopping, resuming, pausing and a lost database change nothing.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, final

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState, create_trial

from orchestrator.contracts import Baseline, StudyPlan
from orchestrator.record import RunRecord, Status
from orchestrator.scheduling.base import Curve
from orchestrator.scheduling.optuna_pruners import pruner_named
from orchestrator.scheduling.optuna_trials import ended_trial, reported, state_of
from orchestrator.search.known_trials import KnownTrial, KnownTrials
from orchestrator.search.samplers import UnusedPointSampler, sampler_named
from orchestrator.search.spaces import contains, points
from orchestrator.search.written_values import Written, as_it_stands
from orchestrator.support.seeds import derive
from orchestrator.support.serialization import to_plain

optuna.logging.set_verbosity(optuna.logging.WARNING)

# Times that the sampler is asked for an unused setting: each draws again, and most collisions end with the first.
_ATTEMPTS = 6


@final
class OptunaStudy:
    """Asks Optuna, in the order of trial numbers. Not thread safe.

    `sampler` is a name in SAMPLERS, `pruner` one in PRUNERS, or a pruner of Optuna's. Nothing is pruned here, but with Hyperband
    a sampler sees only the trials of one bracket. `written` gives the text that all ways to write a value share: records have
    values as their trainer completes them. Raises UnknownName.
    """

    def __init__(
        self,
        plan: StudyPlan,
        *,
        seed: int,
        sampler: str = "tpe",
        pruner: str | optuna.pruners.BasePruner = "promote",
        written: Written = as_it_stands,
    ) -> None:
        self._space = dict(plan.space)
        self._written = written
        self._points = points(self._space, written)
        self._trials = KnownTrials(self._points)
        self._direction = plan.metric.direction
        self._baselines = fitting(plan)
        self._seed = seed
        self._sampler = sampler_named(sampler)
        self._pruner = pruner_named(pruner, plan.epochs)
        self._running: dict[int, optuna.Trial] = {}
        self._optuna: optuna.Study | None = None
        # The space that the sampler samples jointly. It is found by a look at every trial, and each of ours has the whole space:
        # once it is known, it stays the same.
        self._joint: dict[str, BaseDistribution] = {}

    @property
    def exhausted(self) -> bool:
        """Whether every point of the space is some trial's setting."""
        return len(self._trials.taken) >= self._points.count

    def ask(self, number: int, given: Mapping[str, Any] = MappingProxyType({})) -> tuple[dict[str, Any], str | None]:
        """The sampled hyperparameters of trial `number`, the next one, and the reference system that they are from, if any.

        Whatever `given` names has the value given there; with nothing given, the plan's reference settings come first. The
        setting is an unused one, unless `given` leaves only used ones. Depends on the study's seed, the number, `given`, and
        what is known of the trials before it; on nothing else.
        """
        study = self._current()
        baseline = None if given else self._next_baseline()
        fixed = self._points.setting(baseline.params if baseline is not None else given)
        study.sampler = UnusedPointSampler(
            (self._sampler(derive(self._seed, "sampler", number, attempt)) for attempt in range(_ATTEMPTS)),
            space=self._space,
            joint=self._joint,
            points=self._points,
            taken=self._trials.taken,
            fixed=fixed,
            seed=derive(self._seed, "nearest", number),
        )
        if fixed:
            study.enqueue_trial(fixed)
        trial = study.ask(self._space)
        self._running[number] = trial
        return dict(trial.params), baseline.system if baseline is not None else None

    def refuses(self, given: Mapping[str, Any]) -> str:
        """Why a trial cannot be given these values, or ""."""
        for name, value in given.items():
            if name not in self._space:
                return f"the study samples no {name!r}"
            if not contains(self._space[name], value, name, self._written):
                return f"{name} = {to_plain(value)!r} is not in its range"
        return ""

    def know(self, record: RunRecord, values: Iterable[float]) -> None:
        """Learn what is recorded of a trial: its parameters, its status, and its objective value after each epoch (NaN: none).

        Raises BadData for a record whose setting is outside the space.
        """
        known = self._trials.learn(record, values)
        trial = self._running.get(record.number)
        if trial is None:
            self._optuna = None  # a trial that was ended or paused has changed: Optuna has no way back
        elif self._optuna is not None and record.status is not Status.RUNNING:
            del self._running[record.number]
            _tell(self._optuna, trial, known)

    def curve(self, number: int) -> Curve:
        """The learning curve of a trial."""
        return self._trials[number].curve

    def setting(self, number: int) -> Mapping[str, Any]:
        """The sampled hyperparameters of a trial."""
        return self._trials[number].params

    def others(self, number: int) -> list[Curve]:
        """The learning curves of all trials but this one."""
        return self._trials.others(number)

    def _next_baseline(self) -> Baseline | None:
        """The first reference setting that was not tried."""
        return next((found for found in self._baselines if not self._tried(found)), None)

    def _tried(self, baseline: Baseline) -> bool:
        if self._space.keys() <= baseline.params.keys():
            return self._points.coordinates(baseline.params) in self._trials.taken
        return baseline.system in self._trials.references

    def _current(self) -> optuna.Study:
        """The in-memory study, computed again where it contradicts the records."""
        if self._optuna is None:
            self._running = {}
            self._optuna = optuna.create_study(
                study_name=f"seed {self._seed}",  # hyperband hashes it
                direction=self._direction,
                sampler=optuna.samplers.RandomSampler(seed=0),  # not used: what is added has its parameters
                pruner=self._pruner,
            )
            # Hyperband makes its brackets when it is first asked to prune; until then all trials would be in one.
            self._pruner.prune(self._optuna, create_trial(state=TrialState.RUNNING))
            for number in range(self._trials.end):
                self._add(self._optuna, number)
        return self._optuna

    def _add(self, study: optuna.Study, number: int) -> None:
        """Add a trial to the in-memory study, with what is known of it."""
        known = self._trials.get(number)
        if known is None:  # its folder was deleted; numbers must stay what they are
            study.add_trial(create_trial(state=TrialState.FAIL))
        elif known.curve.status is Status.RUNNING:
            study.enqueue_trial(dict(known.params))
            self._running[number] = study.ask(self._space)
        else:
            state, constraints = _outcome(known)
            study.add_trial(ended_trial(known.curve, state, params=known.params, space=self._space, constraints=constraints))


def fitting(plan: StudyPlan) -> list[Baseline]:
    """The reference settings that can be first trials: those that the plan calls fitting."""
    return [baseline for baseline in plan.baselines if not baseline.misfit]


def _tell(study: optuna.Study, trial: optuna.Trial, known: KnownTrial) -> None:
    """Tell Optuna how a trial ended, or that it paused."""
    state, constraints = _outcome(known)
    for step, value in reported(known.curve).items():
        trial.report(value, step)
    for name, violation in constraints.items():
        trial.set_constraint(name, violation)
    study.tell(trial, known.curve.values[-1] if state is TrialState.COMPLETE else None, state=state)


def _outcome(known: KnownTrial) -> tuple[TrialState, dict[str, float]]:
    """The state of a trial that the sampler is told, and the constraints that it violates.

    A setting that ran out of memory or diverged is told as infeasible, and as PRUNED: of a FAIL samplers read nothing, and
    propose the same again and again (docs/decisions.md has the figures).
    """
    if known.infeasible is not None:
        return TrialState.PRUNED, {known.infeasible.value: 1.0}
    return state_of(known.curve), {}
