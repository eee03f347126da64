"""Search spaces of Optuna's distributions: membership, points, plain data, and values from a user's text."""

import contextlib
import math
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator.errors import BadData, InvalidInput
from orchestrator.search.unused_points import Axis, Choices, Continuum, Grid, Points
from orchestrator.search.written_values import Written, any_choices, as_it_stands
from orchestrator.support.serialization import dumps, freeze, parse, shortened, to_plain
from orchestrator.support.wording import one_line, short


def plain(distribution: object) -> BaseDistribution:
    """The distribution with its choices as plain data, which study.json and Optuna's databases can hold.

    Raises TypeError for what is no distribution, for a range that cannot be recorded, and for a choice that is neither plain data
    nor a dataclass of it.
    """
    if isinstance(distribution, FloatDistribution | IntDistribution):
        _check_range(distribution)
        return distribution
    if not isinstance(distribution, CategoricalDistribution):
        raise TypeError(f"must be an Optuna distribution, not {distribution!r}")
    choices = [to_plain(choice) for choice in distribution.choices]
    try:
        freeze(choices)
    except TypeError as error:
        raise TypeError(f"has a choice that cannot be recorded: {error}") from error
    with any_choices():
        return CategoricalDistribution(choices)


def _check_range(distribution: FloatDistribution | IntDistribution) -> None:
    """Optuna takes ends that are not finite, and anything for `log`. Raises TypeError."""
    log: Any = distribution.log
    if not isinstance(log, bool):
        raise TypeError(f"has log={log!r}, where True or False is expected")
    try:
        parse(optuna.distributions.distribution_to_json(distribution))
    except (BadData, TypeError) as error:
        raise TypeError(f"cannot be recorded: {error}") from error
    if not math.isfinite(distribution.high - distribution.low):
        raise TypeError(f"is too wide: {distribution.low} to {distribution.high}")


def ends(distribution: BaseDistribution) -> tuple[Any, ...]:
    """The choices that a distribution has, or the ends of its range; one value where both are the same."""
    match distribution:
        case CategoricalDistribution():
            return tuple(distribution.choices)
        case FloatDistribution() | IntDistribution():
            return (distribution.low,) if distribution.single() else (distribution.low, distribution.high)
    return ()


def contains(distribution: BaseDistribution, value: object, name: str = "", written: Written = as_it_stands) -> bool:
    """Whether a distribution of the hyperparameter `name` could have suggested this value, in whatever way it is written.

    Optuna itself takes any float that is enqueued.
    """
    try:
        _axis(distribution, name, written).coordinate(value)
    except ValueError:
        return False
    return True


def as_written(distribution: BaseDistribution, name: str, value: Any, written: Written) -> Any:
    """A value of the hyperparameter `name` as the space writes it; the value itself where it is outside the space."""
    try:
        return _axis(distribution, name, written).choice(value)
    except ValueError:
        return value


def middle(space: Mapping[str, Any]) -> dict[str, Any]:
    """The middle of every range, on its own scale: of a logarithmic one the geometric mean; of choices the one in the middle."""
    return {name: _middle(distribution) for name, distribution in space.items()}


def _middle(distribution: Any) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[len(distribution.choices) // 2]
    low, high = distribution.low, distribution.high
    center = low if distribution.single() else math.sqrt(low * high) if distribution.log else (low + high) / 2
    axis = _axis(distribution)
    return axis.value(axis.nearest(center) if isinstance(axis, Grid) else axis.coordinate(center))


def describe(space: Mapping[str, Any]) -> dict[str, Any]:
    """A search space as plain data: name -> what Optuna's own JSON text of the distribution says."""
    return {name: parse(optuna.distributions.distribution_to_json(distribution)) for name, distribution in space.items()}


def space(described: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """The search space from the plain data that `describe` returns. Raises BadData for other data."""
    return {name: _described(name, content) for name, content in described.items()}


def _described(name: str, content: Mapping[str, Any]) -> BaseDistribution:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Optuna remarks on a range was said when the plan was read
            return plain(optuna.distributions.json_to_distribution(dumps(content)))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise BadData(f"the range of {name!r} cannot be read: {one_line(shortened(error))}") from error


def points(space: Mapping[str, Any], written: Written = as_it_stands) -> Points:
    """The points of a search space; `written` gives the text that all ways to write a value share."""
    return Points({name: _axis(distribution, name, written) for name, distribution in space.items()})


def value(distribution: BaseDistribution, name: str, text: str, written: Written = as_it_stands) -> Any:
    """The value of the hyperparameter `name` that a user's text means, as the space writes it. Raises InvalidInput."""
    match distribution:
        case CategoricalDistribution():
            return _chosen(distribution, name, text, written)
        case FloatDistribution() | IntDistribution():
            axis = _axis(distribution)
            try:
                number = float(text)
            except ValueError:
                raise InvalidInput(f"{name} = {_quoted(text)} is not a number") from None
            if not distribution.low <= number <= distribution.high:  # NaN is in no range
                raise InvalidInput(f"{name} = {_quoted(text)} is outside its range, {distribution.low} to {distribution.high}")
            try:
                return axis.value(axis.coordinate(number))
            except ValueError as error:
                raise InvalidInput(f"{name} = {error}") from error
    raise InvalidInput(f"{name} cannot be enqueued: {distribution} is not supported")


def _chosen(distribution: CategoricalDistribution, name: str, text: str, written: Written) -> Any:
    """The choice that a user's text means: the text itself, what it is as JSON, or what it is to Python (None, 1e-3)."""
    for choice in distribution.choices:
        if text == str(choice):
            return choice
    given = [text, *_read(text)]
    # A trainer is loaded only for what no choice equals as it stands.
    for told_apart in (as_it_stands, written):
        axis = _axis(distribution, name, told_apart)
        for each in given:
            with contextlib.suppress(ValueError):
                return axis.choice(each)
    raise InvalidInput(f"{name} = {_quoted(text)} is not one of {', '.join(map(short, distribution.choices))}")


def _quoted(text: str) -> str:
    return one_line(shortened(text))


def _read(text: str) -> list[Any]:
    """What a text says other than itself, if anything."""
    if text.lower() in ("none", "true", "false"):
        return [{"none": None, "true": True, "false": False}[text.lower()]]
    with contextlib.suppress(ValueError):
        return [float(text)]
    with contextlib.suppress(BadData):
        return [parse(text)]
    return []


def _axis(distribution: BaseDistribution, name: str = "", written: Written = as_it_stands) -> Axis:
    match distribution:
        case CategoricalDistribution():
            return Choices(values=tuple(distribution.choices), written=partial(written, name))
        case IntDistribution():
            count = (distribution.high - distribution.low) // distribution.step + 1
            return Grid(low=distribution.low, high=distribution.high, step=distribution.step, count=count)
        case FloatDistribution(step=float(step)):
            count = round((distribution.high - distribution.low) / step) + 1
            return Grid(low=distribution.low, high=distribution.high, step=step, count=count)
        case FloatDistribution(low=low, high=high):
            return Choices(values=(low,)) if distribution.single() else Continuum(low=low, high=high)
    raise TypeError(f"{distribution!r} is no distribution of Optuna's that is known here")
