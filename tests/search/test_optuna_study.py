"""What Optuna is told and asked: the same study whether it was left alone, stopped, or computed again from its records."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator import plugins
from orchestrator.contracts import StudyPlan
from orchestrator.errors import UnknownName
from orchestrator.record import Failure, FailureKind, Kind, Provenance, RunRecord, Status
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
    level = 1 - abs(float(str(params["learning_rate"])) - 0.03) - float(str(params["dropout"]))
    return [level * (1 - 0.7**epoch) for epoch in range(1, epochs + 1)]


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
    assert study.ask(4)


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
