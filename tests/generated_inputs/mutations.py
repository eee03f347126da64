"""Inputs that come from a valid one: its structure is changed, or its bytes, or only the way in which it is written."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

TEXTS = (
    *("", " ", "x", "X" * 3000, "nan", "inf", "-inf", "NaN", "null", "none", "true", "0", "-1", "0.5", "1e999", "９", "²", "1_0"),
    *("..", "../../etc", "/", "~", "~nobody-of-that-name/x", ".", "a/b", "a:b", "folder:", "folder:.", "digits", "cnn", "sgd"),
    *(
        "=1+1",
        "--help",
        "-x",
        "é",
        "e\u0301",
        "\u202e",
        "\u00a0",
        "\u2028",
        "\ufeff",
        "%s",
        "{}",
        "{0}",
        "$HOME",
        "`x`",
        "'",
        '"',
        "\\",
    ),
)
CONTROLS = ("\x1b[2J", "a\nb", "a\r\nb", "\t", "\x7f", "\x85")  # and what no word of a command can hold:
UNTYPABLE = ("\x00", "a\x00b", "\ud800", "caf\udce9")

NUMBERS: tuple[Any, ...] = (
    *(True, False, -1, 0, 1, 2, 7, 0.5, -0.0, 1.5, 8.0, 1e-300, 5e-324, 1e300, -1e300, 1.7976931348623157e308),
    *(2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64, 10**30, 10**400),
)


@dataclass(frozen=True)
class Literal:
    """JSON text that no plain value is written as."""

    text: str


@dataclass(frozen=True)
class Pairs:
    """An object whose keys may be there twice."""

    items: tuple[tuple[str, Any], ...]


LITERALS = tuple(
    map(Literal, ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1E2", "0.1e-0", "00", "1.", "undefined", "'x'", '"\\x"'))
)
NESTED: tuple[Any, ...] = (
    *(None, [], {}, [[]], [{}], {"": None}, {"name": "x"}, {"a": {"b": [1]}}, [1] * 300, [None, True, "x"]),
    *(Literal("[" * depth + "]" * depth) for depth in (60, 150, 600, 5000)),
    *(Literal('{"a":' * depth + "0" + "}" * depth) for depth in (60, 600)),
)
ANYTHING = (
    st.sampled_from((*TEXTS, *CONTROLS, *UNTYPABLE, *NUMBERS, *LITERALS, *NESTED))
    | st.text(max_size=8)
    | st.floats()
    | st.integers(-300, 300)
)


def words() -> SearchStrategy[str]:
    """Texts as they may stand on a command line or in a variable."""
    legal = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    typed = st.sampled_from((*TEXTS, *CONTROLS, "caf\udce9", "9" * 5000, "-5", "1e9", "99999999999999999999", "0x10", " 1", "1 "))
    return typed | st.text(legal, max_size=10)


# ------------------------------------------------------------------------------------------------- the structure of JSON


def written(value: Any, *, indent: int | None = None) -> str:
    """As JSON text, whatever the parts are."""
    return _Style(indent=indent).written(value)


@dataclass(frozen=True)
class _Style:
    """A way to write JSON. The defaults are ours."""

    indent: int | None = 1
    ascii: bool = False
    scientific: bool = False  # floats as 1.5e-1
    escaped: bool = False  # the first character of each text as \\u0041
    blank: str = " "

    def written(self, value: Any, depth: int = 0) -> str:
        match value:
            case Literal(text=text):
                return text
            case Pairs(items=items):
                return self._enclosed("{}", [self._pair(key, item, depth) for key, item in items], depth)
            case dict():
                return self._enclosed("{}", [self._pair(str(key), item, depth) for key, item in value.items()], depth)
            case list() | tuple():
                return self._enclosed("[]", [self.written(item, depth + 1) for item in value], depth)
            case str():
                return self._text(value)
            case float() if self.scientific and value not in (float("inf"), float("-inf")) and value == value:
                return f"{Decimal(repr(value)):e}"
        return json.dumps(value)

    def _pair(self, key: str, item: Any, depth: int) -> str:
        return f"{self._text(key)}{self.blank if self.indent is None else ''}:{self.blank}{self.written(item, depth + 1)}"

    def _text(self, value: str) -> str:
        half = any("\ud800" <= character <= "\udfff" for character in value)
        text = json.dumps(value, ensure_ascii=self.ascii or half)
        if self.escaped and value and value[0].isascii() and value[0].isalnum():
            return f'"\\u{ord(value[0]):04x}{text[2:]}'
        return text

    def _enclosed(self, marks: str, parts: Sequence[str], depth: int) -> str:
        if self.indent is None or not parts:
            return marks[0] + f",{self.blank}".join(parts) + marks[1]
        begin = "\n" + self.blank * self.indent * (depth + 1)
        return marks[0] + begin + f",{begin}".join(parts) + "\n" + self.blank * self.indent * depth + marks[1]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in a JSON value, itself included."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _places(value[key], (*path, key))


def _found(value: Any, path: Sequence[Any]) -> Any:
    for key in path:
        value = value[key]
    return value


def _replaced(value: Any, path: Sequence[Any], new: Any) -> Any:
    """The value with something else in this place; whatever is around it is copied."""
    if not path:
        return new
    if isinstance(value, dict):
        return {key: _replaced(item, path[1:], new) if key == path[0] else item for key, item in value.items()}
    return [_replaced(item, path[1:], new) if number == path[0] else item for number, item in enumerate(value)]


def _change_of(draw: st.DrawFn, found: Any, others: SearchStrategy[Any]) -> Any:
    """What stands in the place of a part of a JSON value."""
    kinds = ["another", "inside", "written"]
    kinds += ["without", "renamed", "twice", "more"] if isinstance(found, dict) else []
    kinds += ["without", "twice", "reversed", "more"] if isinstance(found, list) else []
    kind = draw(st.sampled_from(kinds))
    items = list(found.items()) if isinstance(found, dict) else list(found) if isinstance(found, list) else []
    if kind in ("without", "renamed", "twice") and items:
        at = draw(st.integers(0, len(items) - 1))
        chosen = items[at]
        if kind == "renamed":
            key = str(chosen[0])
            new = draw(
                st.sampled_from((key.upper(), f"{key} ", f"{key}s", key[:-1], "", f"_{key}", *TEXTS, *CONTROLS, *UNTYPABLE))
            )
            items[at] = (new, chosen[1])
        elif kind == "without":
            del items[at]
        else:
            items.append((chosen[0], draw(others | st.just(chosen[1]))) if isinstance(found, dict) else chosen)
    elif kind == "more":
        items.append((draw(st.sampled_from(TEXTS)), draw(others)) if isinstance(found, dict) else draw(others))
    elif kind == "reversed":
        items.reverse()
    elif kind == "inside":
        return draw(st.sampled_from(([found], {"value": found}, [[found]])))
    elif kind == "written":
        return written(found) if draw(st.booleans()) else [found, found]
    else:
        return draw(others)
    return Pairs(tuple(items)) if isinstance(found, dict) else items


@st.composite
def changed(draw: st.DrawFn, plain: Any, others: SearchStrategy[Any] = ANYTHING) -> Any:
    """A JSON value with another structure in one place or two."""
    value = plain
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(list(_places(value))))
        value = _replaced(value, path, _change_of(draw, _found(value, path), others))
    return value


@st.composite
def changed_json(draw: st.DrawFn, plain: Any, *, indent: int | None = 1) -> bytes:
    """A JSON file whose structure is changed, or sometimes its bytes."""
    if draw(st.integers(0, 4)):
        return (written(draw(changed(plain)), indent=indent) + "\n").encode("utf-8", "surrogatepass")
    return draw(changed_bytes((written(plain, indent=indent) + "\n").encode()))


@st.composite
def unusual_json(draw: st.DrawFn, plain: Any, *, lines: bool = True, shuffled: bool = True) -> bytes:
    """A JSON file that says the same in an unusual way; in one line where it may not have several."""
    style = _Style(
        indent=draw(st.sampled_from((None, 0, 1, 7) if lines else (None,))),
        ascii=draw(st.booleans()),
        scientific=draw(st.booleans()),
        escaped=draw(st.booleans()),
        blank=draw(st.sampled_from(("", " ", "\t", "  "))),
    )
    text = style.written(_shuffled(plain, random.Random(draw(st.integers(0, 99)))) if shuffled else plain)
    around = draw(st.sampled_from(("", "\n", "\r\n", " ", "\t\n")))
    encoding = draw(st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-32-be"))) if lines else "utf-8"
    return (around + text + around).encode(encoding) if lines else (text + "\n").encode()


def _shuffled(value: Any, order: random.Random) -> Any:
    if isinstance(value, list):
        return [_shuffled(item, order) for item in value]
    if not isinstance(value, dict):
        return value
    keys = list(value)
    order.shuffle(keys)
    return {key: _shuffled(value[key], order) for key in keys}


# ---------------------------------------------------------------------------------------------------------- bytes


@st.composite
def changed_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """A file that was cut, torn, altered, or written in another encoding."""
    at = draw(st.integers(0, max(len(content) - 1, 0)))
    length = draw(st.integers(1, 64))
    match draw(st.integers(0, 8)):
        case 0:
            return content[:at]
        case 1:
            return content[at:]
        case 2:
            return content[:at] + content[at + length :]
        case 3:
            return content[:at] + content[at : at + length] + content[at:]
        case 4:
            return content[:at] + bytes(min(length, len(content) - at)) + content[at + length :]
        case 5:
            return content[:at] + draw(st.binary(min_size=1, max_size=16)) + content[at:]
        case 6:
            return draw(
                st.sampled_from((b"", b"\0", b"\n", b"\xff\xfe", b"\xef\xbb\xbf", b"\xef\xbb\xbf" + content, content * 2))
            )
        case 7:
            text = content.decode("latin-1")
            return text.encode(draw(st.sampled_from(("utf-16", "utf-32", "utf-16-be", "utf-7"))))
    flipped = bytearray(content or b"\0")
    for _ in range(draw(st.integers(1, 4))):
        flipped[draw(st.integers(0, len(flipped) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(flipped)
