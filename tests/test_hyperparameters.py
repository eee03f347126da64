"""Hyperparameters are completed, checked against their annotations and their own rules, and divided among dataclasses."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput, UnknownName
from orchestrator.hyperparameters import complete, divide
from orchestrator.support.serialization import canonical, freeze, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    batch_size: int = 128  # images
    learning_rate: float = 0.1
    nesterov: bool = True
    schedule: Literal["cosine", "step"] = "cosine"

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate <= 10:
            raise ValueError("learning_rate must be in (0, 10]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    channels: tuple[int, ...] = (32, 64)
    kernel: tuple[int, int] = (3, 3)
    weights: str | None = None
    dropout: float = 0.0
    layers: int

    def __post_init__(self) -> None:
        if len(self.channels) < 2 and self.dropout > 0.5:
            raise ValueError("few channels need dropout up to 0.5")


BOTH = (Loop, Model)


def test_defaults_are_filled_in_and_values_kept() -> None:
    assert complete(BOTH, {"layers": 1, "batch_size": 64}) == {
        "batch_size": 64,
        "learning_rate": 0.1,
        "nesterov": True,
        "schedule": "cosine",
        "channels": (32, 64),
        "kernel": (3, 3),
        "weights": None,
        "dropout": 0.0,
        "layers": 1,
    }


def test_divide_gives_each_dataclass_its_own() -> None:
    loop, model = divide(BOTH, {"layers": 2, "schedule": "step", "channels": [8, 8, 8]})
    assert loop == Loop(schedule="step")
    assert model == Model(layers=2, channels=(8, 8, 8))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.fixed_dictionaries(
        {"layers": st.integers(0, 9)},
        optional={
            "learning_rate": st.floats(1e-9, 10) | st.integers(1, 10),
            "nesterov": st.booleans(),
            "channels": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9),
            "weights": st.none() | st.text("aé=,'"),
        },
    )
)
def test_a_completed_setting_survives_its_record(params: dict[str, Any]) -> None:
    completed = complete(BOTH, freeze(params))
    assert isinstance(completed["learning_rate"], float)
    assert complete(BOTH, completed) == completed
    assert complete(BOTH, parse(canonical(completed))) == completed


def test_an_unknown_name_lists_the_known_ones_nearest_first() -> None:
    with pytest.raises(UnknownName, match=r"unknown hyperparameter 'learning_rte'; known: learning_rate, "):
        complete(BOTH, {"learning_rte": 0.1, "layers": 1})


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("batch_size", 64.0, "int, not float"),
        ("batch_size", True, "int, not bool"),
        ("batch_size", "64", "int, not str"),
        ("batch_size", None, "int, not NoneType"),
        ("learning_rate", "0.1", "float, not str"),
        ("learning_rate", True, "float, not bool"),
        ("learning_rate", math.nan, "finite"),
        ("learning_rate", math.inf, "finite"),
        ("learning_rate", 10**400, "too large"),
        ("learning_rate", 11, r"\(0, 10\]"),
        ("nesterov", 1, "bool, not int"),
        ("schedule", "cosin", "'cosine', 'step'"),
        ("channels", 3, "sequence, not int"),
        ("channels", [3, "4"], "int, not str"),
        ("channels", "34", "int, not str"),
        ("kernel", [3], "2 values, not 1"),
        ("weights", 5, "str, not int"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(name: str, value: object, why: str) -> None:
    with pytest.raises(InvalidInput, match=f"hyperparameter '{name}' cannot be .*{why}"):
        complete(BOTH, {"layers": 1, "dropout": 0.3, name: value})


def test_a_rule_about_two_names_both() -> None:
    with pytest.raises(InvalidInput, match=r"'dropout' cannot be 0.6, 'channels' cannot be \[8\]: few channels"):
        complete(BOTH, {"dropout": 0.6, "channels": [8], "layers": 1})


def test_what_has_no_default_must_be_given() -> None:
    with pytest.raises(InvalidInput, match="'layers' has no default"):
        complete(BOTH, {})


def test_a_name_in_two_dataclasses_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="'batch_size' is a field of both Loop and Loop"):
        complete((Loop, Loop), {})


def test_a_field_of_another_type_is_a_programming_error_that_says_so() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Odd:
        table: dict[str, int]

    with pytest.raises(InvalidInput, match=r"'table' cannot be .*cannot be hyperparameters"):
        complete((Odd,), {"table": {}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    name: Literal["crop"] = "crop"
    padding: int = 4  # pixels

    def __post_init__(self) -> None:
        if self.padding < 1:
            raise ValueError("padding must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    name: Literal["noise"] = "noise"
    largest: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    channels: int
    pool: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    steps: tuple[Crop | Noise, ...] = ()
    first: Crop | Noise | None = None
    blocks: tuple[Block, ...] = (Block(channels=8),)


def test_one_of_several_dataclasses_is_chosen_by_its_name() -> None:
    (found,) = divide((Nested,), {"steps": ["crop", {"name": "noise", "largest": 1}], "first": {"name": "crop", "padding": 2}})
    assert found == Nested(steps=(Crop(), Noise(largest=1.0)), first=Crop(padding=2))


def test_nested_settings_are_completed_to_plain_data_that_reads_back() -> None:
    completed = complete((Nested,), {"steps": ["noise"], "blocks": [{"channels": 3}]})
    assert completed == {
        "steps": ({"name": "noise", "largest": 0.1},),
        "first": None,
        "blocks": ({"channels": 3, "pool": True},),
    }
    assert complete((Nested,), completed) == completed
    assert complete((Nested,), parse(canonical(completed))) == completed
    assert complete((Nested,), freeze(completed)) == completed


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"steps": ["corp"]}, r"'steps' cannot be \[\"corp\"\]: there is no 'corp'; known: crop, noise"),
        ({"first": {"padding": 3}}, "'first' cannot be .*: it has no name; known: crop, noise"),
        ({"first": 3}, "'first' cannot be 3: it must be a name, or a mapping with a name"),
        ({"blocks": ["big"]}, "'blocks' cannot be .*: it must be a mapping"),
        ({"first": {"name": "crop", "pading": 3}}, "'first' cannot be .*: crop has no 'pading', only 'name', 'padding'"),
        ({"steps": [{"name": "crop", "padding": 0}]}, "'steps': crop, 'padding' cannot be 0: padding must be at least 1"),
        ({"steps": [{"name": "noise", "largest": "a"}]}, "'steps': noise, 'largest' cannot be 'a': it must be of type float"),
        ({"blocks": [{}]}, "'blocks': 'channels' has no default and must be given"),
    ],
)
def test_what_is_wrong_inside_is_said_with_its_place(params: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=f"^hyperparameter {message}"):
        complete((Nested,), params)


@dataclass(frozen=True)
class Off:
    name: Literal["none"] = "none"


@dataclass(frozen=True)
class Blur:
    name: Literal["blur"] = "blur"


@dataclass(frozen=True)
class Choices:
    several: tuple[Blur, ...] = (Blur(),)
    words: tuple[str, ...] = ()
    maybe: Blur | None = Blur()
    own: Blur | Off | None = None
    word: str | None = None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("several", "none", []),
        ("several", None, []),
        ("several", "blur", [{"name": "blur"}]),
        ("several", {"name": "blur"}, [{"name": "blur"}]),
        ("maybe", "none", None),
        ("own", "none", {"name": "none"}),  # a name of its own is no word for nothing
        ("own", None, None),
        ("word", "none", "none"),
        ("words", "none", ["none"]),
    ],
)
def test_none_and_one_alone_are_written_without_brackets(name: str, value: object, expected: object) -> None:
    assert parse(canonical(complete((Choices,), {name: value})[name])) == expected
