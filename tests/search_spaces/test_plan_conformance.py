"""What every plan promises, of each one that ships, on each data set."""

from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator import plugins
from orchestrator.contracts import DataSetInfo, StudyPlan
from orchestrator.testing.plan import PlanConformance
from search_spaces._baselines import baselines
from search_spaces.reference_systems.support.system import ReportedSystem
from tests.helpers.image_folders import pictures

PLANS = plugins.names("plan")
SAMPLED = {"batch_size", "learning_rate", "weight_decay", "label_smoothing", "dropout"}


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DataSetInfo]:
    """The info of each data set; a folder of pictures stands for all folders."""
    folder = tmp_path_factory.mktemp("facts")
    found = {name: plugins.dataset(name) for name in plugins.names("data set") if name != "folder"}
    found["folder"] = plugins.dataset(f"folder:{pictures(folder / 'pictures')}")
    return {name: dataset.info(folder) for name, dataset in found.items()}


class PartConformance(PlanConformance):
    """The plans for the parts of the challenge sample the same five, and know the reference systems of their part."""

    datasets = tuple(plugins.names("data set"))

    @pytest.fixture
    def info(self, dataset: str, facts: dict[str, DataSetInfo]) -> DataSetInfo:
        return facts[dataset]

    def test_it_samples_the_five_and_fixes_none_of_them(self, made: StudyPlan) -> None:
        assert set(made.space) == SAMPLED
        assert not SAMPLED & set(made.recipe.params)
        assert (made.metric.name, made.metric.rule) == ("val_acc", "best")

    def test_it_samples_the_batch_sizes_that_suit_the_data(self, made: StudyPlan, info: DataSetInfo) -> None:
        assert made.space["batch_size"].choices == info.batch_sizes

    def test_reference_systems_are_those_of_its_part(self, made: StudyPlan) -> None:
        assert [baseline.system for baseline in made.baselines] == [f"00{report}-P{self.plan[-1]}" for report in range(5)]
        assert all(set(baseline.params) == SAMPLED for baseline in made.baselines)


def stated(**params: Any) -> ReportedSystem:
    """A system that states these settings and nothing else."""
    return ReportedSystem(system="1", name="one", trainer="cnn", parameters=1, epochs=1, params=params)


class TestPart1(PartConformance):
    plan = "part1"


class TestPart2(PartConformance):
    plan = "part2"


class TestPart3(PartConformance):
    plan = "part3"


def test_every_plan_that_ships_is_tested_here() -> None:
    assert [suite.plan for suite in (TestPart1, TestPart2, TestPart3)] == PLANS


def test_the_settings_that_can_be_tried_on_the_challenges_data(tmp_path: Path) -> None:
    info = plugins.dataset("cifar100").info(tmp_path)
    fitting = {name: [b.system for b in plugins.plan(name)[2]("cifar100", info).baselines if not b.misfit] for name in PLANS}
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
