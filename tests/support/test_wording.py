"""Numbers and values in messages."""

from orchestrator.support.wording import printable, several, short


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
