"""Numbers and values in messages."""

import pytest

from orchestrator.support.wording import in_bytes, moment, printable, several, short


def test_counts_have_their_noun() -> None:
    assert [several(count, "epoch") for count in (0, 1, 12)] == ["0 epochs", "1 epoch", "12 epochs"]


def test_values_are_short() -> None:
    assert [short(value) for value in (0.012345678, 1e-7, 64, "sgd", None, True)] == [
        "0.0123",
        "1e-07",
        "64",
        "sgd",
        "None",
        "True",
    ]


def test_what_a_terminal_would_obey_is_shown_as_an_escape() -> None:
    assert printable("a\x1b[31m\x07\r\x9b\u202e\udce9 é中\tb\nc") == "a\\x1b[31m\\x07\\r\\x9b\\u202e\\udce9 é中\tb\nc"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.6, "1 kB"),
        (12_345, "12.3 kB"),
        (44_800_000, "44.8 MB"),
        (999_499_999, "999 MB"),
        (999_500_000, "1 GB"),
        (1.2e12, "1.2 TB"),
        (4.56e14, "456 TB"),
    ],
)
def test_sizes_have_three_digits_and_a_unit(size: float, text: str) -> None:
    assert in_bytes(size) == text


def test_every_time_of_a_record_can_be_told() -> None:
    assert len(moment(1_700_000_000.5)) == len("2023-11-14 22:13:20")
    assert moment(253_402_300_799.0)[:4] in ("9999", "2534")
    assert moment(1e300).endswith("s after 1970")
