"""What every plan promises (contracts.Plan), checked for each plan on each data set."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator import plugins
from orchestrator.contracts import DataSetInfo, StudyPlan
from orchestrator.hyperparameters import complete
from search_spaces._baselines import baselines
from search_spaces.reference_systems.support.system import ReportedSystem
from tests.helpers.image_folders import pictures

PLANS = plugins.names("plan")
CASES = [(name, dataset) for name in PLANS for dataset in plugins.names("data set")]
SAMPLED = {"batch_size", "learning_rate", "weight_decay", "label_smoothing", "dropout"}


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DataSetInfo]:
    """The info of each data set; a folder of pictures stands for all folders."""
    folder = tmp_path_factory.mktemp("facts")
    found = {name: plugins.dataset(name) for name in plugins.names("data set") if name != "folder"}
    found["folder"] = plugins.dataset(f"folder:{pictures(folder / 'pictures')}")
    return {name: dataset.info(folder) for name, dataset in found.items()}


def make(name: str, dataset: str, info: DataSetInfo) -> StudyPlan:
    _, _, plan = plugins.plan(name)
    return plan(dataset, info)


def stated(**params: Any) -> ReportedSystem:
    """A system that states these settings and nothing else."""
    return ReportedSystem(system="1", name="one", trainer="cnn", parameters=1, epochs=1, params=params)


def ends(distribution: Any) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, FloatDistribution)
    return [distribution.low, distribution.high]


@pytest.mark.parametrize(("name", "dataset"), CASES)
def test_a_plan_samples_the_five_and_fixes_none_of_them(name: str, dataset: str, facts: dict[str, DataSetInfo]) -> None:
    plan = make(name, dataset, facts[dataset])
    assert set(plan.space) == SAMPLED
    assert not SAMPLED & set(plan.recipe.params)
    assert (plan.recipe.plan, plan.recipe.dataset, plan.recipe.epochs) == (name, dataset, plan.epochs)
    assert (plan.metric.name, plan.metric.rule) == ("val_acc", "best")
    assert plugins.plan(name)[1] in plugins.names("data set")


def within(given: Any, completed: Any) -> bool:
    """Whether nothing was changed when defaults were filled in, at any depth; a text may stand for a choice of that name."""
    if isinstance(given, str) and isinstance(completed, Mapping):
        return bool(completed["name"] == given)
    if isinstance(given, Mapping):
        return given.keys() <= completed.keys() and all(within(value, completed[name]) for name, value in given.items())
    if isinstance(given, tuple):
        return len(given) == len(completed) and all(map(within, given, completed))
    return bool(given == completed)


@pytest.mark.parametrize(("name", "dataset"), CASES)
def test_its_trainer_takes_everything_that_it_may_sample(name: str, dataset: str, facts: dict[str, DataSetInfo]) -> None:
    plan = make(name, dataset, facts[dataset])
    kinds = plugins.trainer(plan.recipe.trainer).hyperparameters
    for values in itertools.product(*(ends(distribution) for distribution in plan.space.values())):
        params = dict(plan.recipe.params) | dict(zip(plan.space, values, strict=True))
        assert within(params, complete(kinds, params))


@pytest.mark.parametrize(("name", "dataset"), CASES)
def test_its_lengths_suit_the_data(name: str, dataset: str, facts: dict[str, DataSetInfo]) -> None:
    info = facts[dataset]
    plan = make(name, dataset, info)
    assert 1 <= plan.epochs <= info.trial_epochs
    assert plan.epochs <= plan.confirm_epochs <= plan.retrain_epochs <= info.retrain_epochs
    assert plan.space["batch_size"].choices == info.batch_sizes


@pytest.mark.parametrize(("name", "dataset"), CASES)
def test_reference_systems_appear_once_and_lie_in_the_ranges_or_say_why_not(
    name: str, dataset: str, facts: dict[str, DataSetInfo]
) -> None:
    plan = make(name, dataset, facts[dataset])
    assert [baseline.system for baseline in plan.baselines] == [f"00{report}-P{name[-1]}" for report in range(5)]
    for baseline in plan.baselines:
        assert set(baseline.params) == SAMPLED
        if not baseline.misfit:
            for parameter, distribution in plan.space.items():
                value = baseline.params[parameter]
                assert distribution._contains(distribution.to_internal_repr(value)), f"{baseline.system}: {parameter} {value}"


def test_the_settings_that_can_be_tried_on_the_challenges_data(facts: dict[str, DataSetInfo]) -> None:
    fitting = {name: [b.system for b in make(name, "cifar100", facts["cifar100"]).baselines if not b.misfit] for name in PLANS}
    assert fitting == {"part1": ["000-P1"], "part2": ["000-P2", "004-P2"], "part3": []}


def test_a_setting_outside_the_ranges_is_given_every_reason() -> None:
    space = {"batch_size": CategoricalDistribution((32, 64)), "dropout": FloatDistribution(0.0, 0.5)}
    (baseline,) = baselines([stated(batch_size=512, dropout=0.7)], space, {})
    assert baseline.misfit == "batch_size 512 is none of 32, 64; dropout 0.7 is outside 0 to 0.5"
    (baseline,) = baselines([stated(batch_size=64, dropout=0.5)], space, {})
    assert baseline.misfit == ""


def test_a_setting_holds_what_the_plan_searches_and_nothing_else() -> None:
    space = {"depth": IntDistribution(1, 3), "label_smoothing": FloatDistribution(0.0, 0.2)}
    (baseline,) = baselines([stated(depth=2, batch_size=64)], space, {})
    assert (baseline.params, baseline.misfit) == ({"depth": 2, "label_smoothing": 0.0}, "")
    (baseline,) = baselines([stated(depth=4)], space, {})
    assert baseline.misfit == "depth 4 is outside 1 to 3"
    (baseline,) = baselines([stated(batch_size=64)], space, {})
    assert baseline.misfit == "depth is not stated"
