"""Hyperparameters by name: what a recipe says of them, checked against the dataclasses of its trainer, defaults filled in."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import InvalidInput, UnknownName


def complete(kinds: Sequence[type], params: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of the dataclasses `kinds` with the value that `params` gives it, or else its default.

    Completing what is complete changes nothing. Raises as `divide` does.
    """
    return {name: getattr(part, name) for part in divide(kinds, params) for name in _fields(type(part))}


def divide(kinds: Sequence[type], params: Mapping[str, Any]) -> tuple[Any, ...]:
    """One instance of each of the dataclasses `kinds`, together taking all of `params`.

    An int is taken for a float and a list for a tuple; a bool is not a number, and floats must be finite.
    Raises UnknownName for a name that is no field of any, InvalidInput naming the hyperparameter whose value does not fit,
    ValueError when two dataclasses have a field of the same name.
    """
    owners: dict[str, type] = {}
    for kind in kinds:
        for name in _fields(kind):
            if name in owners:
                raise ValueError(f"hyperparameter {name!r} is a field of both {owners[name].__name__} and {kind.__name__}")
            owners[name] = kind
    for name in params:
        if name not in owners:
            raise UnknownName("hyperparameter", name, owners)
    return tuple(_instance(kind, {name: value for name, value in params.items() if owners[name] is kind}) for kind in kinds)


def _fields(kind: type) -> dict[str, bool]:
    """Name -> whether it must be given."""
    absent = dataclasses.MISSING
    return {
        field.name: field.default is absent and field.default_factory is absent
        for field in dataclasses.fields(kind)
        if field.init
    }


def _instance(kind: type, given: Mapping[str, Any]) -> Any:
    for name, required in _fields(kind).items():
        if required and name not in given:
            raise InvalidInput(f"hyperparameter {name!r} has no default and must be given")
    annotations = typing.get_type_hints(kind)
    fitted = {}
    for name, value in given.items():
        try:
            fitted[name] = _fit(annotations[name], value)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(f"hyperparameter {name!r} cannot be {value!r}: {error}") from error
    try:
        return kind(**fitted)
    except (TypeError, ValueError) as error:
        culprits = [name for name in fitted if _constructs(kind, fitted, without=name)] or list(fitted)
        settings = ", ".join(f"{name!r} cannot be {given[name]!r}" for name in culprits)
        raise InvalidInput(f"hyperparameter {settings}: {error}") from error


def _constructs(kind: type, fitted: Mapping[str, Any], *, without: str) -> bool:
    try:
        kind(**{name: value for name, value in fitted.items() if name != without})
    except (TypeError, ValueError):
        return False
    return True


def _fit(annotation: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _fit_optional(arguments, value)
    if origin is typing.Literal:
        if not any(value == choice and type(value) is type(choice) for choice in arguments):
            raise ValueError(f"it is one of {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        return _fit_tuple(arguments, value)
    if annotation is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError("it must be finite")
        return float(value)
    if annotation not in (bool, int, float, str):
        raise TypeError(f"fields of type {annotation} cannot be hyperparameters")
    if type(value) is not annotation:
        raise TypeError(f"it is of type {annotation.__name__}, not {type(value).__name__}")
    return value


def _fit_optional(choices: Sequence[Any], value: Any) -> Any:
    others = [choice for choice in choices if choice is not types.NoneType]
    if value is None and len(others) < len(choices):
        return None
    if len(others) != 1:
        raise TypeError("a hyperparameter has one type, or one type and None")
    return _fit(others[0], value)


def _fit_tuple(items: Sequence[Any], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"it is a sequence, not {type(value).__name__}")
    if items[-1:] == (Ellipsis,):
        return tuple(_fit(items[0], item) for item in value)
    if len(items) != len(value):
        raise ValueError(f"it has {len(items)} values, not {len(value)}")
    return tuple(_fit(kind, item) for kind, item in zip(items, value, strict=True))
