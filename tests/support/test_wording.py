"""Numbers and values in messages."""

from orchestrator.support.wording import several, short


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
