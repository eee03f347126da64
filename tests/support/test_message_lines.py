"""Messages between processes: each is one line, and one direction's messages are refused by the other's codec."""

from dataclasses import dataclass

import pytest

from orchestrator.errors import BadData
from orchestrator.support.message_lines import LineCodec


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    text: str
    loss: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    number: int


CODEC = LineCodec[Said | Asked](Said, Asked)


@pytest.mark.parametrize(
    "message", [Said(text='two\nlines, "quoted"', loss=float("inf")), Said(text="/caf\udce9"), Asked(number=3)]
)
def test_a_message_is_one_line_and_comes_back(message: Said | Asked) -> None:
    line = CODEC.encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert CODEC.decode(line) == message


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b'{"Said": {"text": "to',  # torn
        b'{"Heard": {"text": ""}}\n',
        b'{"Said": {"text": "a"}, "Asked": {"number": 1}}\n',
        b'["Said"]\n',
        b'{"Asked": {"number": "one"}}\n',
    ],
)
def test_what_is_no_message_is_bad_data(line: bytes) -> None:
    with pytest.raises(BadData):
        CODEC.decode(line)


def test_a_message_of_the_other_direction_is_bad_data() -> None:
    with pytest.raises(BadData, match="not a message"):
        LineCodec[Said](Said).decode(CODEC.encode(Asked(number=1)))
