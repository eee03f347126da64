"""Frozen dataclasses to plain JSON data and back, so that no file and no message of this project is ever a pickle.

Floats keep their exact value. JSON has no NaN and no infinity, and both are facts to record (a diverged epoch has
them), so they are written as the strings "nan", "inf" and "-inf" and come back as floats where the field is one.
"""

import collections
import dataclasses
import enum
import functools
import json
import math
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from orchestrator.errors import BadData

T = TypeVar("T")

_NOT_FINITE = ("nan", "inf", "-inf")
_MOST_DIGITS = 20  # of a number of 64 bits, with its sign
_LONGEST = 300  # characters that a message quotes of what does not fit
# Lists and mappings inside each other. Whatever reads plain data calls itself once or more for each of them.
_DEEPEST = 100
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")  # half of a surrogate pair, escaped or not


def freeze(value: object) -> Any:
    """A deeply immutable copy of plain data: mappings become read-only, lists become tuples.

    Raises TypeError for anything that JSON cannot hold: what decides a run must be readable from its record.
    """
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise TypeError("a whole number of more than 64 bits is not plain data")
    if isinstance(value, str) and not _is_text(value):
        raise TypeError(f"{shortened(ascii(value))} holds half a character, so it cannot be written in UTF-8")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return types.MappingProxyType({freeze(str(key)): freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    raise TypeError(f"{value!r} of type {type(value).__name__} is not plain data (numbers, strings, lists, mappings)")


def to_plain(value: object) -> Any:
    """Dataclasses, mappings, sequences and enumerations as what `json` writes; non-finite floats as strings."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: to_plain(getattr(value, name)) for name in _field_names(type(value))}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: type[T], data: object) -> T:
    """`data` as the type `kind`, a dataclass or a type that the fields of one use.

    Unknown keys are refused rather than dropped: they mean that a newer version wrote the file. A field with the metadata
    `{"formerly": NAME}` is also read under the name that earlier versions wrote.
    Raises BadData naming the field that does not fit.
    """
    try:
        return typing.cast(T, _convert(kind, data))
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise BadData(f"{kind.__name__}: {shortened(error)}") from error


def dumps(value: object) -> str:
    """One line of JSON with the keys in the order of the fields."""
    return json.dumps(to_plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def canonical(value: object) -> str:
    """The one JSON text that equal values share: sorted keys, no spaces; what fingerprints are made of."""
    return json.dumps(to_plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def comparable(value: object) -> str:
    """The text that two values share where they are the same, as whatever kinds of numbers and sequences they are written.

    1 and 1.0 are the same, and so are 0.0 and -0.0; True is neither.
    """
    return canonical(_with_plain_numbers(to_plain(value)))


def _with_plain_numbers(plain: Any) -> Any:
    if isinstance(plain, float) and plain.is_integer():
        return int(plain)
    if isinstance(plain, dict):
        return {name: _with_plain_numbers(value) for name, value in plain.items()}
    return [_with_plain_numbers(value) for value in plain] if isinstance(plain, list) else plain


def parse(text: str | bytes, *, any_path: bool = False) -> Any:
    """JSON text as plain data.

    Raises BadData where it is not JSON, names a key of an object twice, or holds a whole number of more than 64 bits, text that
    cannot be written in UTF-8, or hundreds of lists inside each other. `any_path` lets text pass that is not UTF-8: between two
    processes of ours, and of a file's name, it stands for the bytes of a path.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        found = json.loads(text, parse_int=_whole_number, parse_constant=_no_number, object_pairs_hook=_object)
    except _TwiceError as error:
        raise BadData(str(error)) from None
    except (ValueError, RecursionError) as error:
        raise BadData(f"not JSON: {shortened(error)}") from error
    if text.count("[") + text.count("{") > _DEEPEST and _is_deep(found):
        raise BadData(f"more than {_DEEPEST} lists or objects are inside each other")
    if not any_path and _HALF_CHARACTER.search(text) and not _is_text(json.dumps(found, ensure_ascii=False)):
        raise BadData("a text in it holds half a character, so it cannot be written in UTF-8")
    return found


class _TwiceError(ValueError):
    """A key occurs twice in an object: one of the two values would be dropped in silence."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = collections.Counter(key for key, _ in pairs)
        raise _TwiceError(f"{shortened(counts.most_common(1)[0][0])!r} is given twice")
    return found


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _whole_number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS or not -(2**63) <= (number := int(digits)) < 2**63:
        raise ValueError(f"the number {digits[:_MOST_DIGITS]}… is too large")
    return number


def shortened(value: object) -> str:
    """The value as a text that a message may quote, whatever a file held."""
    text = str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


@functools.cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


@functools.cache
def _former_names(kind: type) -> Mapping[str, str]:
    """Former name -> name, of the fields whose metadata say under which name earlier versions wrote them."""
    return {field.metadata["formerly"]: field.name for field in dataclasses.fields(kind) if "formerly" in field.metadata}


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _convert(kind: Any, data: Any) -> Any:
    if kind is Any or kind is object:
        return freeze(data)
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _convert_optional(kind, data)
    if origin is tuple:
        return tuple(_convert(typing.get_args(kind)[0], item) for item in _expect(data, list, tuple))
    if origin is typing.Literal:
        if data not in typing.get_args(kind):
            raise ValueError(f"{data!r} is none of {', '.join(map(repr, typing.get_args(kind)))}")
        return data
    if origin is not None and issubclass(origin, Mapping):
        value_kind = typing.get_args(kind)[1]
        items = _expect(data, dict, types.MappingProxyType).items()
        return types.MappingProxyType({key: _convert(value_kind, item) for key, item in items})
    if dataclasses.is_dataclass(kind):
        return _convert_dataclass(typing.cast(type, kind), _expect(data, dict))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(data)
    if kind is float:
        return float(data) if data in _NOT_FINITE else float(_expect(data, int, float))
    return _expect(data, kind)


def _convert_optional(kind: Any, data: Any) -> Any:
    choices = [choice for choice in typing.get_args(kind) if choice is not types.NoneType]
    if data is None:
        return None
    if len(choices) != 1:
        raise TypeError(f"cannot read a union of {choices}")
    return _convert(choices[0], data)


def _convert_dataclass(kind: type, data: dict[str, Any]) -> Any:
    hints = _hints(kind)
    data = {_former_names(kind).get(name, name): item for name, item in data.items()}
    unknown = sorted(set(data) - set(_field_names(kind)))
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}")
    values = {}
    for name, item in data.items():
        try:
            values[name] = _convert(hints[name], item)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}: {error}") from error
    return kind(**values)


def _expect(data: Any, *kinds: type) -> Any:
    if not isinstance(data, kinds) or (isinstance(data, bool) and bool not in kinds):
        raise TypeError(f"{data!r} is not {' or '.join(kind.__name__ for kind in kinds)}")
    return data
