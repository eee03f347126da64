"""Numbers and values as messages write them."""


def several(count: int, noun: str) -> str:
    """The count with its noun: "1 epoch", "12 epochs"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def short(value: object) -> str:
    """A hyperparameter's value; a float with three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
