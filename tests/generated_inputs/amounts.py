"""How many inputs are generated, and from which seed: in the suite always the same ones, and others on request.

    make test-generated SEED=7 TIMES=20     twenty times as many, from another seed

Each test has a few inputs for every day, and many that are slow; together these are more than a thousand.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

_SEED = os.environ.get("GENERATED_SEED")
_TIMES = int(os.environ.get("GENERATED_TIMES", "1"))


def amounts(few: int, many: int) -> pytest.MarkDecorator:
    """Let a test have the argument `examples`: `few`, none where that is 0, and as a slow test `many`."""
    every_day = [pytest.param(few, id="few")] if few else []
    return pytest.mark.parametrize("examples", [*every_day, pytest.param(many, id="many", marks=pytest.mark.slow)])


def for_all(strategy: SearchStrategy[Any], check: Callable[[Any], object], examples: int) -> None:
    """Call `check` with so many generated inputs. Of those that fail the smallest one is reported."""

    def checked(generated: Any) -> None:
        check(generated)

    run = settings(
        max_examples=examples * _TIMES,
        derandomize=_SEED is None,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )(given(generated=strategy)(checked))
    if _SEED is not None:
        run = seed(int(_SEED))(run)
    run()
