"""What Optuna is told and asked: the same study whether it was left alone, stopped, or computed again from its records."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import MedianPruner, PatientPruner

from orchestrator import plugins
from orchestrator.contracts import StudyPlan
from orchestrator.errors import UnknownName
from orchestrator.record import Failure, FailureKind, Kind, Metric, Provenance, RunRecord, Status
from orchestrator.scheduling.base import Decision
from orchestrator.scheduling.pruners import PRUNERS
from orchestrator.search.optuna_study import OptunaStudy, fitting
from orchestrator.search.samplers import SAMPLERS
from orchestrator.search.spaces import contains
from tests.helpers.paths import PLUGINS


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> StudyPlan:
    monkeypatch.chdir(PLUGINS)
    _, dataset, make = plugins.plan("curves")
    return make(dataset, plugins.dataset(dataset).info(Path("nowhere")))


def record(plan: StudyPlan, number: int, params: dict[str, object], status: Status = Status.RUNNING) -> RunRecord:
    return RunRecord(
        run_id=f"s/trials/{number:04d}",
        kind=Kind.TRIAL,
        number=number,
        recipe=replace(plan.recipe, params=params),
        status=status,
        provenance=Provenance(study="u"),
    )


def curve(params: dict[str, object], epochs: int) -> list[float]:
    worth = 1 - abs(float(str(params["learning_rate"])) - 0.03) - float(str(params["dropout"]))
    return [worth * (1 - 0.7**epoch) for epoch in range(1, epochs + 1)]


def finish(study: OptunaStudy, plan: StudyPlan, number: int) -> dict[str, object]:
    """Ask for a trial and run it: every third one is pruned, every seventh fails."""
    params, _ = study.ask(number)
    study.know(record(plan, number, params), [])
    study.know(record(plan, number, params), curve(params, 4))
    status = Status.FAILED if number % 7 == 6 else Status.PRUNED if number % 3 == 2 else Status.COMPLETE
    study.know(record(plan, number, params, status), curve(params, 4 if status is Status.PRUNED else 8))
    return params


def test_a_study_computed_again_asks_what_one_left_alone_asks(plan: StudyPlan) -> None:
    alone = OptunaStudy(plan, seed=3)
    asked = [finish(alone, plan, number) for number in range(30)]
    assert len({str(params) for params in asked}) == 30
    for stop in (1, 9, 12, 25):
        again = OptunaStudy(plan, seed=3)
        for number in range(stop):
            status = Status.FAILED if number % 7 == 6 else Status.PRUNED if number % 3 == 2 else Status.COMPLETE
            epochs = 4 if status is Status.PRUNED else 8
            again.know(record(plan, number, asked[number], status), curve(asked[number], epochs))
        assert [finish(again, plan, number) for number in range(stop, min(stop + 3, 30))] == asked[stop : stop + 3]


@pytest.mark.parametrize("pruner", [name for name in PRUNERS if name not in ("none", "promote")])
def test_a_decision_that_is_still_to_be_made_is_the_same_in_the_next_session(plan: StudyPlan, pruner: str) -> None:
    """Also where a pruner notes in a trial what it was asked: killed after any epoch, before its decision."""
    draw = random.Random(5)
    worths = [draw.random() for _ in range(12)]
    alone = OptunaStudy(plan, seed=3, sampler="random", pruner=pruner)
    known: list[tuple[RunRecord, list[float]]] = []
    decisions = []
    for number, worth in enumerate(worths):
        params, _ = alone.ask(number)
        running = record(plan, number, params)
        alone.know(running, [])
        values: list[float] = []
        decision = Decision.GO_ON
        while decision is Decision.GO_ON and len(values) < plan.epochs - 1:
            values.append(worth * (1 - 0.7 ** (len(values) + 1)))
            alone.know(running, values)
            decision = alone.scheduler().decide(alone.curve(number), alone.others(number))
            decisions.append(decision)
            again = OptunaStudy(plan, seed=3, sampler="random", pruner=pruner)
            for earlier, curve_of_it in [*known, (running, values)]:
                again.know(earlier, curve_of_it)
            assert again.scheduler().decide(again.curve(number), again.others(number)) is decision
        ended = record(plan, number, params, Status.PRUNED if decision is Decision.STOP else Status.COMPLETE)
        values = values if decision is Decision.STOP else [*values, worth]
        alone.know(ended, values)
        known.append((ended, values))
    assert Decision.GO_ON in decisions
    assert Decision.STOP in decisions or pruner == "patient"


@pytest.mark.parametrize("pruner", ["asha", "hyperband"])
def test_an_attempt_that_begins_again_passes_the_rungs_that_it_had_passed(plan: StudyPlan, pruner: str) -> None:
    """On the way back to where it was nothing is decided; what the pruner notes of it must be as if nothing had been lost."""

    def noted(study: OptunaStudy) -> dict[str, float]:
        (trial,) = [trial for trial in study._current().get_trials() if trial.number == 0]
        return {name: value for name, value in trial.system_attrs.items() if "rung" in name}

    alone, retried = (OptunaStudy(plan, seed=3, sampler="random", pruner=pruner) for _ in range(2))
    worth = [0.30 + 0.01 * epoch for epoch in range(1, 8)]
    for study in (alone, retried):
        params, _ = study.ask(0)
        running = record(plan, 0, params)
        study.know(running, [])
        for epoch in range(1, 7):
            study.know(running, worth[:epoch])
            study.scheduler().decide(study.curve(0), study.others(0))
    other, _ = retried.ask(1)
    retried.know(running, worth[:1])  # its worker was lost, and its checkpoint is of an earlier epoch
    retried.know(record(plan, 1, other), [0.2])
    retried.scheduler().decide(retried.curve(1), retried.others(1))
    for epoch in range(2, 8):
        retried.know(running, worth[:epoch])
    for study in (alone, retried):
        study.know(running, worth)
        study.scheduler().decide(study.curve(0), study.others(0))
    assert noted(alone)
    assert noted(retried) == noted(alone)


def test_a_running_trial_of_an_earlier_session_changes_nothing(plan: StudyPlan) -> None:
    def begin(study: OptunaStudy) -> dict[str, object]:
        for number in range(12):
            finish(study, plan, number)
        params, _ = study.ask(12)
        study.know(record(plan, 12, params), curve(params, 2))
        return params

    alone, before = OptunaStudy(plan, seed=1), OptunaStudy(plan, seed=1)
    running = begin(alone)
    asked = [params for number in range(12) if (params := finish(before, plan, number))]
    again = OptunaStudy(plan, seed=1)
    for number, params in enumerate(asked):
        status = Status.FAILED if number % 7 == 6 else Status.PRUNED if number % 3 == 2 else Status.COMPLETE
        again.know(record(plan, number, params, status), curve(params, 4 if status is Status.PRUNED else 8))
    again.know(record(plan, 12, running), curve(running, 2))
    assert again.ask(13) == alone.ask(13)


def test_the_seed_and_the_number_decide_what_is_asked(plan: StudyPlan) -> None:
    def first(seed: int) -> dict[str, object]:
        study = OptunaStudy(plan, seed=seed)
        finish(study, plan, 0)
        return study.ask(1)[0]

    assert first(0) == first(0)
    assert first(0) != first(1)


def test_fitting_reference_settings_come_first_exactly(plan: StudyPlan) -> None:
    study = OptunaStudy(plan, seed=0)
    params, reference = study.ask(0)
    assert reference == "000-P1"
    assert params == dict(fitting(plan)[0].params)
    study.know(record(plan, 0, params), [])
    assert study.ask(1)[1] is None


def test_epochs_that_a_new_attempt_measures_differently_replace_the_old_ones(plan: StudyPlan) -> None:
    study = OptunaStudy(plan, seed=0)
    params, _ = study.ask(0)
    study.know(record(plan, 0, params), [0.1, 0.2, 0.3])
    study.know(record(plan, 0, params), [0.1])
    study.know(record(plan, 0, params), [0.1, 0.25])
    assert study.curve(0).values == (0.1, 0.25)
    study.know(record(plan, 0, params, Status.COMPLETE), [0.1, 0.25])
    assert study.ask(1)


def test_a_trial_that_came_to_nothing_is_told_and_computed_again_alike(plan: StudyPlan) -> None:
    told, again = OptunaStudy(plan, seed=0), OptunaStudy(plan, seed=0)
    for number in range(12):
        params = finish(told, plan, number)
        status = Status.FAILED if number % 7 == 6 else Status.PRUNED if number % 3 == 2 else Status.COMPLETE
        again.know(record(plan, number, params, status), curve(params, 4 if status is Status.PRUNED else 8))
    params, _ = told.ask(12)
    told.know(record(plan, 12, params), [])
    nothing = [0.3, math.nan]  # a metric of which the last epoch counts, and was not measured
    for study in (told, again):
        study.know(record(plan, 12, params, Status.COMPLETE), nothing)
    assert told.ask(13) == again.ask(13)


def test_a_missing_trial_leaves_the_numbers_of_the_others(plan: StudyPlan) -> None:
    study = OptunaStudy(plan, seed=0)
    for number in (0, 2):
        params = {**fitting(plan)[0].params, "dropout": 0.1 * number}
        study.know(record(plan, number, params, Status.COMPLETE), [0.5])
    params, _ = study.ask(3)
    study.know(record(plan, 3, params), [0.1])
    assert study.scheduler().decide(study.curve(3), study.others(3)) is Decision.GO_ON


def learn(study: OptunaStudy, plan: StudyPlan, levels: Sequence[float]) -> list[Decision]:
    """Train one trial after the other, each as good as its level, and decide after every epoch but the last."""
    decisions = []
    scheduler = study.scheduler()
    for number, level in enumerate(levels):
        params, _ = study.ask(number)
        study.know(record(plan, number, params), [])
        decision = Decision.GO_ON
        for epochs in range(1, plan.epochs + 1):
            values = [level * (1 - 0.5**epoch) for epoch in range(1, epochs + 1)]
            study.know(record(plan, number, params), values)
            if epochs < plan.epochs:
                decision = scheduler.decide(study.curve(number), study.others(number))
            if decision is Decision.STOP:
                break
        status = Status.PRUNED if decision is Decision.STOP else Status.COMPLETE
        study.know(record(plan, number, params, status), values)
        decisions.append(decision)
    return decisions


@pytest.mark.parametrize("name", [name for name in PRUNERS if name not in ("none", "patient", "promote")])
def test_every_pruner_ends_hopeless_trials_and_lets_the_best_run_out(plan: StudyPlan, name: str) -> None:
    levels = [0.8, 0.7, 0.75, 0.6, 0.65, *[0.1, 0.12, 0.95] * 6]
    decisions = learn(OptunaStudy(plan, seed=0, pruner=name), plan, levels)
    divergence_reason = [decision for level, decision in zip(levels, decisions, strict=True) if level < 0.2]
    assert divergence_reason.count(Decision.STOP) >= len(divergence_reason) / 2
    assert decisions[7] is Decision.GO_ON  # the first of the best


def test_nothing_is_pruned_where_nothing_is_asked_to(plan: StudyPlan) -> None:
    study = OptunaStudy(plan, seed=0, pruner="none")
    assert set(learn(study, plan, [0.9] * 6 + [0.01] * 6)) == {Decision.GO_ON}
    assert study.scheduler().next_rung(0) >= plan.epochs


def test_the_median_waits_for_five_trials_and_two_epochs(plan: StudyPlan) -> None:
    assert Decision.STOP not in learn(OptunaStudy(plan, seed=0, pruner="median"), plan, [0.9, 0.8, 0.1, 0.05, 0.04])
    study = OptunaStudy(plan, seed=0, pruner="median")
    learn(study, plan, [0.9, 0.8, 0.7, 0.85, 0.9])
    params, _ = study.ask(5)
    scheduler = study.scheduler()
    study.know(record(plan, 5, params), [0.0])
    assert scheduler.decide(study.curve(5), study.others(5)) is Decision.GO_ON
    study.know(record(plan, 5, params), [0.0, 0.0])
    assert scheduler.decide(study.curve(5), study.others(5)) is Decision.STOP


def test_the_patient_one_ends_only_what_is_hopeless_and_flat(plan: StudyPlan) -> None:
    for direction in ("maximize", "minimize"):
        sign = 1.0 if direction == "maximize" else -1.0
        metric = Metric(name="val_acc" if direction == "maximize" else "val_loss", direction=direction)
        study = OptunaStudy(replace(plan, metric=metric), seed=0, pruner="patient")
        learn(study, plan, [0.9 * sign, 0.8 * sign, 0.7 * sign, 0.85 * sign, 0.95 * sign])
        params, _ = study.ask(5)
        scheduler = study.scheduler()
        decisions = []
        for values in ([0.1], [0.1] * 2, [0.1] * 2 + [0.2], [0.1] * 2 + [0.2] * 2, [0.1] * 2 + [0.2] * 3):
            study.know(record(plan, 5, params), [sign * value for value in values])
            decisions.append(scheduler.decide(study.curve(5), study.others(5)))
        assert decisions == [Decision.GO_ON] * 4 + [Decision.STOP]


def test_optunas_own_patient_pruner_never_prunes_the_best_value_so_far(plan: StudyPlan) -> None:
    with pytest.warns(ExperimentalWarning):
        theirs = PatientPruner(MedianPruner(5, 2), patience=2)
    for pruner, expected in ((theirs, Decision.GO_ON), (MedianPruner(5, 2), Decision.STOP)):
        study = OptunaStudy(plan, seed=0, pruner=pruner)
        learn(study, plan, [0.9, 0.8, 0.7, 0.85, 0.9])
        params, _ = study.ask(5)
        study.know(record(plan, 5, params), [0.1] * 7)
        assert study.scheduler().decide(study.curve(5), study.others(5)) is expected


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_stays_inside_the_space(plan: StudyPlan, sampler: str) -> None:
    study = OptunaStudy(plan, seed=0, sampler=sampler)
    for number in range(20):
        params = finish(study, plan, number)
        assert all(contains(plan.space[name], value) for name, value in params.items())


def test_unknown_names_are_refused(plan: StudyPlan) -> None:
    with pytest.raises(UnknownName, match="known: median"):
        OptunaStudy(plan, seed=0, pruner="medium")
    with pytest.raises(UnknownName, match="known: tpe"):
        OptunaStudy(plan, seed=0, sampler="tp")


def test_what_a_distribution_contains() -> None:
    assert contains(FloatDistribution(0.1, 0.5), 0.5)
    assert not contains(FloatDistribution(0.1, 0.5), 0.6)
    assert contains(IntDistribution(1, 3), 2)
    assert contains(CategoricalDistribution([32, 64]), 64)
    assert not contains(CategoricalDistribution([32, 64]), 128)
    assert not contains(FloatDistribution(0.1, 0.5), "0.2")


def wasted(plan: StudyPlan, kind: FailureKind, seed: int) -> int:
    """How many of 60 trials fail where a high rate with a large batch does; the best settings lie close to these."""
    study, failures = OptunaStudy(plan, seed=seed), 0
    for number in range(60):
        params, _ = study.ask(number)
        rate, size = float(str(params["learning_rate"])), int(str(params["batch_size"]))
        if rate * size > 3.0:
            failures += 1
            failed = record(plan, number, params, Status.FAILED)
            study.know(replace(failed, failure=Failure(kind=kind, message="")), [])
        else:
            study.know(record(plan, number, params, Status.COMPLETE), [math.log10(rate) + math.log10(size) / 4])
    return failures


def test_settings_that_run_out_of_memory_or_diverge_are_tried_less_and_less(plan: StudyPlan) -> None:
    """A failure of another kind says nothing of its setting, as Optuna's own FAIL does not."""
    seeds = range(3)
    ignored = sum(wasted(plan, FailureKind.LOST, seed) for seed in seeds)
    for kind in (FailureKind.OUT_OF_MEMORY, FailureKind.DIVERGED):
        assert sum(wasted(plan, kind, seed) for seed in seeds) <= 0.75 * ignored  # 77 of 130, when this was written


def test_what_failures_mean_to_the_sampler_follows_from_the_records(plan: StudyPlan) -> None:
    def end(study: OptunaStudy, number: int, params: dict[str, object]) -> None:
        kind = list(FailureKind)[number % len(FailureKind)]
        status = Status.FAILED if number % 2 else Status.COMPLETE
        failure = Failure(kind=kind, message="") if number % 2 else None
        study.know(replace(record(plan, number, params, status), failure=failure), curve(params, 3))

    alone, asked = OptunaStudy(plan, seed=3), []
    for number in range(25):
        params, _ = alone.ask(number)
        asked.append(params)
        end(alone, number, params)
    again = OptunaStudy(plan, seed=3)
    for number in range(20):
        end(again, number, asked[number])
    for number in range(20, 25):
        params, _ = again.ask(number)
        assert params == asked[number]
        end(again, number, params)
