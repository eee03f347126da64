"""What every plan promises (`contracts.Plan`)."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from orchestrator import plugins
from orchestrator.contracts import DataSetInfo, StudyPlan
from orchestrator.hyperparameters import complete
from orchestrator.search.spaces import contains, ends
from orchestrator.search.written_values import any_choices, written_by
from orchestrator.support.serialization import to_plain


class PlanConformance:
    """Inherit it, and name the plan and the data sets that it is made for."""

    plan: ClassVar[str]  # search_spaces/NAME.py, found from the working directory
    datasets: ClassVar[tuple[str, ...]] = ("digits",)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each test on each data set."""
        if "dataset" in metafunc.fixturenames:
            metafunc.parametrize("dataset", self.datasets, scope="class")

    @pytest.fixture
    def info(self, dataset: str, tmp_path: Path) -> DataSetInfo:
        """The facts of the data set; override it where they are measured on files."""
        return plugins.dataset(dataset).info(tmp_path)

    @pytest.fixture
    def made(self, dataset: str, info: DataSetInfo) -> StudyPlan:
        """The plan for the data set."""
        with any_choices():
            _, _, plan = plugins.plan(self.plan)
            return plan(dataset, info)

    def test_what_it_samples_is_not_fixed_as_well(self, made: StudyPlan, dataset: str) -> None:
        assert made.space
        assert not made.space.keys() & made.recipe.params.keys()
        assert (made.recipe.plan, made.recipe.dataset, made.recipe.epochs) == (self.plan, dataset, made.epochs)
        assert plugins.plan(self.plan)[1] in plugins.names("data set")

    def test_its_trainer_takes_everything_that_it_may_sample(self, made: StudyPlan) -> None:
        kinds = plugins.trainer(made.recipe.trainer).hyperparameters
        for values in itertools.product(*(ends(distribution) for distribution in made.space.values())):
            params = dict(made.recipe.params) | dict(zip(made.space, values, strict=True))
            assert _within(to_plain(params), to_plain(complete(kinds, params)))

    def test_its_lengths_suit_the_data(self, made: StudyPlan, info: DataSetInfo) -> None:
        assert 1 <= made.epochs <= info.trial_epochs
        assert made.epochs <= made.confirm_epochs <= made.retrain_epochs <= info.retrain_epochs

    def test_baselines_appear_once_and_lie_in_the_ranges_or_say_why_not(self, made: StudyPlan) -> None:
        systems = [baseline.system for baseline in made.baselines]
        assert len(set(systems)) == len(systems)
        written = written_by(made.recipe.trainer)
        for baseline in made.baselines:
            assert baseline.params.keys() == made.space.keys()
            if not baseline.misfit:
                for parameter, distribution in made.space.items():
                    value = baseline.params[parameter]
                    assert contains(distribution, value, parameter, written), f"{baseline.system}: {parameter} {value}"


def _within(given: Any, completed: Any) -> bool:
    """Whether nothing was changed when defaults were filled in, at any depth; a text may stand for a choice of that name."""
    if isinstance(given, str) and isinstance(completed, Mapping):
        return bool(completed["name"] == given)
    if isinstance(given, Mapping):
        return given.keys() <= completed.keys() and all(_within(value, completed[name]) for name, value in given.items())
    if isinstance(given, list):
        return len(given) == len(completed) and all(map(_within, given, completed))
    return bool(given == completed)
