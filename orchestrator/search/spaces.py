"""Search spaces of Optuna's distributions: membership, points, plain data, and values from a user's text."""

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator.errors import InvalidInput
from orchestrator.search.unused_points import Axis, Choices, Continuum, Grid, Points
from orchestrator.support.serialization import dumps, parse


def contains(distribution: object, value: object) -> bool:
    """Whether a distribution could have suggested this value. Optuna itself takes any float that is enqueued."""
    match distribution:
        case CategoricalDistribution():
            return value in distribution.choices
        case FloatDistribution() | IntDistribution():
            return isinstance(value, int | float) and distribution.low <= value <= distribution.high
    return False


def is_distribution(value: object) -> bool:
    """Whether it is one of Optuna's, and no other object with the same names."""
    return isinstance(value, BaseDistribution)


def middle(space: Mapping[str, Any]) -> dict[str, Any]:
    """The middle of every range, on its own scale: of a logarithmic one the geometric mean; of choices the one in the middle."""
    return {name: _middle(distribution) for name, distribution in space.items()}


def _middle(distribution: Any) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[len(distribution.choices) // 2]
    low, high = distribution.low, distribution.high
    axis = _axis(distribution)
    return axis.value(
        axis.coordinate(low if distribution.single() else math.sqrt(low * high) if distribution.log else (low + high) / 2)
    )


def describe(space: Mapping[str, Any]) -> dict[str, Any]:
    """A search space as plain data: name -> what Optuna's own JSON text of the distribution says."""
    return {name: parse(optuna.distributions.distribution_to_json(distribution)) for name, distribution in space.items()}


def space(described: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """The search space from the plain data that `describe` returns."""
    return {name: optuna.distributions.json_to_distribution(dumps(content)) for name, content in described.items()}


def points(space: Mapping[str, Any]) -> Points:
    """The points of a search space."""
    return Points({name: _axis(distribution) for name, distribution in space.items()})


def value(distribution: BaseDistribution, name: str, text: str) -> Any:
    """The value of the hyperparameter `name` that a user's text means. Raises InvalidInput."""
    axis = _axis(distribution)
    match distribution:
        case CategoricalDistribution():
            for choice in distribution.choices:
                if text in (str(choice), dumps(choice)):
                    return choice
            raise InvalidInput(f"{name} = {text} is not one of {', '.join(map(str, distribution.choices))}")
        case FloatDistribution() | IntDistribution():
            try:
                number = float(text)
            except ValueError:
                raise InvalidInput(f"{name} = {text} is not a number") from None
            if not contains(distribution, number):  # NaN is in no range
                raise InvalidInput(f"{name} = {text} is outside its range, {distribution.low} to {distribution.high}")
            nearest = axis.value(axis.coordinate(number))
            if not math.isclose(nearest, number, rel_tol=1e-9, abs_tol=1e-12):
                raise InvalidInput(f"{name} = {text} is not on its grid of steps; the nearest value is {nearest}")
            return nearest
    raise InvalidInput(f"{name} cannot be enqueued: {distribution} is not supported")


def _axis(distribution: object) -> Axis:
    match distribution:
        case CategoricalDistribution():
            return Choices(values=tuple(distribution.choices))
        case IntDistribution():
            count = (distribution.high - distribution.low) // distribution.step + 1
            return Grid(low=distribution.low, high=distribution.high, step=distribution.step, count=count)
        case FloatDistribution(step=float(step)):
            count = round((distribution.high - distribution.low) / step) + 1
            return Grid(low=distribution.low, high=distribution.high, step=step, count=count)
        case FloatDistribution() if distribution.single():
            return Choices(values=(distribution.low,))
    return Continuum()
