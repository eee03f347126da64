"""Several sides, measured in turn."""

from collections.abc import Callable, Mapping


def alternated(sides: Mapping[str, Callable[[str], float]], rounds: int) -> dict[str, list[float]]:
    """Measure every side once a round, in an order that is turned round from one to the next."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        order = list(sides) if number % 2 == 0 else list(reversed(list(sides)))
        for place, name in enumerate(order):
            found[name].append(sides[name](f"round-{number}-{place}"))
    return found
