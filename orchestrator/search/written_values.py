"""One text for all ways to write a value: a plan says "sgd", its records {"name": "sgd", "nesterov": true}, both the same."""

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator import plugins
from orchestrator.errors import OrchestrateError
from orchestrator.hyperparameters import completed_value
from orchestrator.support.serialization import comparable

# Of a hyperparameter and its value the text that all ways to write the value share. Raises InvalidInput where it has none.
Written = Callable[[str, Any], str]


def as_it_stands(name: str, value: Any) -> str:  # noqa: ARG001 - nothing is completed, so the name does not matter
    """Of values that nobody completes: numbers are told apart by their value, lists and mappings by their content."""
    return comparable(value)


def written_by(trainer: str) -> Written:
    """Of values as this trainer completes them. It is loaded for the first value that is no number."""
    kinds = functools.cache(lambda: plugins.trainer(trainer).hyperparameters)

    def written(name: str, value: Any) -> str:
        if isinstance(value, bool | int | float):
            return as_it_stands(name, value)
        return as_it_stands(name, completed_value(kinds(), name, value))

    return written


def written_as_far_as_known(trainer: str) -> Written:
    """As `written_by`; what the trainer does not know, or cannot be loaded for, stands as it is. For copies and messages."""
    completed = written_by(trainer)

    def written(name: str, value: Any) -> str:
        try:
            return completed(name, value)
        except OrchestrateError:
            return as_it_stands(name, value)

    return written


@contextlib.contextmanager
def any_choices() -> Iterator[None]:
    """Let lists and mappings be choices without Optuna's warning: its databases keep them as JSON, and give them back equal."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Choices for a categorical distribution should be a tuple of")
        yield
