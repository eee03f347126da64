"""Hyperparameters of a recipe, checked against the dataclasses of its trainer and completed with their defaults.

A field may itself be a dataclass, or a sequence of them; a recipe then gives a mapping. If several dataclasses are possible,
each has a field `name: Literal["cosine"] = "cosine"` by which the recipe chooses it. A text alone, "cosine", stands for the
dataclass of that name with its defaults.
"""

import contextlib
import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import InvalidInput, UnknownName
from orchestrator.support.serialization import canonical, shortened


def names(kinds: Sequence[type]) -> tuple[str, ...]:
    """The names of all hyperparameters that the dataclasses `kinds` have."""
    return tuple(name for kind in kinds for name in _fields(kind))


def complete(kinds: Sequence[type], params: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of the dataclasses `kinds` as plain data, with the value in `params` or else its default.

    Complete params are returned unchanged. Raises as `divide` does.
    """
    return {name: _plain(getattr(part, name)) for part in divide(kinds, params) for name in _fields(part.__class__)}


def completed_value(kinds: Sequence[type], name: str, value: Any) -> Any:
    """The value of one hyperparameter as `complete` writes it, in whatever way it is written; other hyperparameters have no part.

    Raises UnknownName for a name that is a field of none of the dataclasses, and InvalidInput for a value that does not fit.
    """
    owner = next((kind for kind in kinds if name in _fields(kind)), None)
    if owner is None:
        raise UnknownName("hyperparameter", name, names(kinds))
    try:
        return _plain(_fitted(owner, name, value))
    except ValueError as error:
        raise InvalidInput(f"hyperparameter {error}") from error


def divide(kinds: Sequence[type], params: Mapping[str, Any]) -> tuple[Any, ...]:
    """One instance of each of the dataclasses `kinds`, made from `params`.

    An int is accepted for a float and a list for a tuple. A bool is not a number, and floats must be finite.
    Raises UnknownName for a name that is a field of none, InvalidInput naming the hyperparameter whose value is invalid, and
    ValueError if two dataclasses have a field of the same name.
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
    try:
        return tuple(_instance(kind, {name: value for name, value in params.items() if owners[name] is kind}) for kind in kinds)
    except ValueError as error:
        raise InvalidInput(f"hyperparameter {error}") from error


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in _fields(type(value))}
    return tuple(_plain(item) for item in value) if isinstance(value, tuple) else value


@functools.cache
def _fields(kind: type) -> Mapping[str, bool]:
    """Name -> whether it is required."""
    absent = dataclasses.MISSING
    return types.MappingProxyType(
        {
            field.name: field.default is absent and field.default_factory is absent
            for field in dataclasses.fields(kind)
            if field.init
        }
    )


@functools.cache
def _annotations(kind: type) -> Mapping[str, Any]:
    """Name -> type. Cached: looking them up takes half of the time of `divide`."""
    return types.MappingProxyType(typing.get_type_hints(kind))


class _UnfitPartError(ValueError):
    """A part of a value is invalid, and the message names it."""


def _instance(kind: type, given: Mapping[str, Any]) -> Any:
    """Raises ValueError with a message that begins with the name of the field."""
    for name, required in _fields(kind).items():
        if required and name not in given:
            raise ValueError(f"{name!r} has no default and must be given")
    fitted = {name: _fitted(kind, name, value) for name, value in given.items()}
    try:
        return kind(**fitted)
    except (TypeError, ValueError) as error:
        culprits = [name for name in fitted if _constructs(kind, fitted, without=name)] or list(fitted)
        settings = ", ".join(f"{name!r} cannot be {_shown(given[name])}" for name in culprits)
        raise ValueError(f"{settings}: {error}" if settings else str(error)) from error


def _fitted(kind: type, name: str, value: Any) -> Any:
    """The value as the field `name` of a dataclass has it. Raises ValueError with a message that begins with the name."""
    try:
        return _fit(_annotations(kind)[name], value)
    except _UnfitPartError as error:
        raise _UnfitPartError(f"{name!r}: {error}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name!r} cannot be {_shown(value)}: {error}") from error


def _shown(value: Any) -> str:
    """The value as text; a list or a mapping as in a recipe file."""
    return shortened(canonical(value)) if isinstance(value, Mapping | list | tuple) else repr(value)


def _constructs(kind: type, fitted: Mapping[str, Any], *, without: str) -> bool:
    try:
        kind(**{name: value for name, value in fitted.items() if name != without})
    except (TypeError, ValueError):
        return False
    return True


def _fit(annotation: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _fit_union(arguments, value)
    if dataclasses.is_dataclass(annotation):
        return _fit_dataclass((typing.cast(type, annotation),), value)
    if origin is typing.Literal:
        if not any(value == choice and type(value) is type(choice) for choice in arguments):
            raise ValueError(f"it must be one of {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        return _fit_tuple(arguments, value)
    if annotation is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError("it must be finite")
        return float(value) + 0.0  # -0.0 becomes 0.0: two zeros would be two configurations
    if annotation not in (bool, int, float, str):
        raise TypeError(f"fields of type {annotation} cannot be hyperparameters")
    if type(value) is not annotation:
        raise TypeError(f"it must be of type {annotation.__name__}, not {type(value).__name__}")
    return value


def _fit_union(choices: Sequence[Any], value: Any) -> Any:
    others = [choice for choice in choices if choice is not types.NoneType]
    if len(others) < len(choices) and _is_nothing(value, others):
        return None
    if all(dataclasses.is_dataclass(choice) for choice in others):
        return _fit_dataclass(others, value)
    if len(others) != 1:
        raise TypeError("a hyperparameter has one type, or one type and None")
    return _fit(others[0], value)


def _is_nothing(value: Any, kinds: Sequence[Any]) -> bool:
    """Whether a value means nothing: None, or the word "none" where none of these types takes that for something."""
    if value != "none":
        return value is None
    for kind in kinds:
        with contextlib.suppress(TypeError, ValueError):
            _fit(kind, value)
            return False
    return True


def _fit_dataclass(kinds: Sequence[type], value: Any) -> Any:
    """An instance of the one of `kinds` that `value` names, or of the only one."""
    if type(value) in kinds:
        return value
    named = {own: kind for kind in kinds if (own := _own_name(kind))}
    given = {"name": value} if isinstance(value, str) and named else value
    if not isinstance(given, Mapping):
        raise TypeError("it must be a name, or a mapping with a name" if named else "it must be a mapping")
    if named and given.get("name") not in named:
        what = f"there is no {given['name']!r}" if "name" in given else "it has no name"
        raise ValueError(f"{what}; known: {', '.join(sorted(named))}")
    kind = named[given["name"]] if named else kinds[0]
    fields = _fields(kind)
    for key in given:
        if key not in fields:
            raise ValueError(f"{_own_name(kind) or 'it'} has no {key!r}, only {', '.join(map(repr, fields))}")
    try:
        return _instance(kind, given)
    except ValueError as error:
        where = _own_name(kind)
        raise _UnfitPartError(f"{where}, {error}" if where else str(error)) from error


def _own_name(kind: type) -> str:
    """The name by which a recipe chooses this dataclass among others, or ""."""
    annotation = _annotations(kind).get("name")
    return str(typing.get_args(annotation)[0]) if typing.get_origin(annotation) is typing.Literal else ""


def _fit_tuple(items: Sequence[Any], value: Any) -> tuple[Any, ...]:
    if items[-1:] == (Ellipsis,):  # of any length
        if _is_nothing(value, items[:1]):
            return ()
        if isinstance(value, str | Mapping):  # one alone, without brackets
            return (_fit(items[0], value),)
    if not isinstance(value, list | tuple):
        raise TypeError(f"it must be a sequence, not {type(value).__name__}")
    if items[-1:] == (Ellipsis,):
        return tuple(_fit(items[0], item) for item in value)
    if len(items) != len(value):
        raise ValueError(f"it must have {len(items)} values, not {len(value)}")
    return tuple(_fit(kind, item) for kind, item in zip(items, value, strict=True))
