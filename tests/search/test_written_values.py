"""One value, however it is written: numbers, short forms of a trainer's choices, and texts that a user types."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator import plugins
from orchestrator.errors import InvalidInput
from orchestrator.hyperparameters import complete
from orchestrator.search import spaces
from orchestrator.search.unused_points import Choices, Continuum, Grid
from orchestrator.search.written_values import any_choices, as_it_stands, written_as_far_as_known, written_by
from search_spaces._baselines import baselines
from search_spaces.reference_systems.part1 import SYSTEMS

KINDS = plugins.trainer("cnn").hyperparameters  # loads torch, which takes longer than an example may
NUMBERS = st.floats(0, 0.9, allow_nan=False)
HIDDEN: list[Any] = [[], [256]]
BLOCKS: list[Any] = [[{"channels": 32}], [{"channels": 64}]]
PADDING = st.integers(1, 3)
VALUES = st.one_of(
    st.tuples(st.just("momentum"), NUMBERS.map(lambda number: 0.1 + number / 2)),
    st.tuples(st.just("hidden"), st.lists(st.integers(1, 99), max_size=3)),
    st.tuples(st.just("optimizer"), st.sampled_from(["adam", "sgd", {"name": "sgd"}, {"name": "nadam", "beta2": 0.9}])),
    st.tuples(st.just("averaging"), st.one_of(st.none(), st.just("ema"), NUMBERS.map(lambda x: {"name": "swa", "start": x}))),
    st.tuples(
        st.just("augmentation"),
        st.lists(st.one_of(st.sampled_from(["flip", "crop"]), PADDING.map(lambda x: {"name": "crop", "padding": x})), max_size=3),
    ),
)


@given(VALUES)
def test_one_text_for_all_ways_to_write_a_value(named: tuple[str, Any]) -> None:
    name, value = named
    written = written_by("cnn")
    full = complete(KINDS, {name: value})[name]
    assert written(name, full) == written(name, value) == as_it_stands(name, full)


def test_true_is_not_one_and_one_is_one_point_zero() -> None:
    assert as_it_stands("", 1) == as_it_stands("", 1.0) != as_it_stands("", True)
    assert as_it_stands("", -0.0) == as_it_stands("", 0) == as_it_stands("", 0.0) != as_it_stands("", False)
    assert as_it_stands("", [1, {"a": 2.0}]) == as_it_stands("", (1.0, {"a": 2}))
    axis = Choices(values=(True, 1))
    assert [axis.coordinate(value) for value in (True, 1, 1.0)] == [0, 1, 1]
    for distribution in (IntDistribution(0, 4), FloatDistribution(0, 4), FloatDistribution(0, 4, step=0.5)):
        assert spaces.contains(distribution, 1)
        assert not any(spaces.contains(distribution, value) for value in (True, "1", None, [1], float("nan"), 5))


def test_minus_zero_is_the_same_configuration_as_zero() -> None:
    (full,) = {str(complete(KINDS, {"weight_decay": zero})) for zero in (0, 0.0, -0.0)}
    assert "-0.0" not in full


def test_a_value_that_is_off_the_axis_is_no_value_of_it() -> None:
    grid = Grid(low=0.0, high=0.5, step=0.1, count=6)
    assert grid.choice(0.1 + 0.2) == 0.1 + 0.2
    assert Grid(low=32, high=64, step=32, count=2).choice(64.0) == 64
    for axis, value in ((grid, 0.25), (grid, 0.6), (Continuum(low=0.0, high=1.0), 1.5), (Choices(values=("sgd",)), "adam")):
        with pytest.raises(ValueError, match=r"grid|outside|none of"):
            axis.coordinate(value)


def test_what_no_trainer_knows_stands_as_it_is() -> None:
    with pytest.raises(InvalidInput):
        written_by("cnn")("nonsense", "sgd")
    assert written_as_far_as_known("cnn")("nonsense", ["sgd"]) == '["sgd"]'
    assert written_as_far_as_known("no-such-trainer")("optimizer", "sgd") == '"sgd"'


@pytest.mark.parametrize(
    ("choices", "text", "says"),
    [
        (["sgd", {"name": "adamw"}], "adamm", 'optimizer = adamm is not one of sgd, {"name": "adamw"}'),
        (["sgd", "adamw"], '{"name": "sgd", "nesterov": false}', "is not one of sgd, adamw"),
        (["sgd", "adamw"], '{"name": "sgd"', "is not one of sgd, adamw"),
    ],
)
def test_a_text_that_means_no_choice_is_refused_with_the_choices_as_the_plan_writes_them(
    choices: list[Any], text: str, says: str
) -> None:
    with any_choices():
        distribution = CategoricalDistribution(choices)
    with pytest.raises(InvalidInput) as refused:
        spaces.value(distribution, "optimizer", text, written_by("cnn"))
    assert says in str(refused.value)


def test_reference_settings_of_a_space_of_names_fit_or_say_why_not() -> None:
    with any_choices():
        space: dict[str, Any] = {
            "optimizer": CategoricalDistribution(["sgd", "adam"]),
            "hidden": CategoricalDistribution(HIDDEN),
            "blocks": CategoricalDistribution(BLOCKS),
        }
    for found in baselines(SYSTEMS, space, {}):
        for name, value in found.params.items():
            fits = spaces.contains(space[name], value)
            assert fits or name in found.misfit
