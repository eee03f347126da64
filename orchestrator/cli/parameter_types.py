"""Types of option values. An invalid value is refused with the valid ones."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import click

from orchestrator.errors import InvalidInput, UnknownName
from orchestrator.support.durations import parse_duration


@final
class WholeNumber(click.ParamType[int]):
    """A whole number in a range."""

    name = "number"

    def __init__(self, at_least: int, at_most: int = 10**18 - 1) -> None:
        self._at_least = at_least
        self._at_most = at_most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Raises click.BadParameter."""
        text = str(value)
        if not re.fullmatch("[0-9]{1,18}", text) or int(text) < self._at_least:
            self.fail(f"{text!r} is not a whole number of at least {self._at_least}", param, ctx)
        if int(text) > self._at_most:
            self.fail(f"{text} is more than {self._at_most:,}", param, ctx)
        return int(text)


@final
class Duration(click.ParamType[float]):
    """A duration such as 90s, 45m or 6h, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds. Raises click.BadParameter."""
        try:
            return parse_duration(str(value))
        except InvalidInput as error:
            self.fail(str(error), param, ctx)


@final
class OneOf(click.ParamType[str]):
    """One of a few names; `what` says in a user's words what they name."""

    name = "name"

    def __init__(self, what: str, names: Sequence[str]) -> None:
        self._what = what
        self._names = names

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002 - click's signature
        """The value in the help."""
        return "|".join(self._names)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002 - click's
        """The name. Raises UnknownName."""
        if value not in self._names:
            raise UnknownName(self._what, str(value), self._names)
        return str(value)


@final
class Location(click.ParamType[Path]):
    """A file or folder, which need not exist."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, with `~` for the home folder. Raises click.BadParameter for an empty one."""
        if not str(value):
            self.fail("it is empty", param, ctx)
        try:
            return Path(value).expanduser()
        except RuntimeError as error:
            self.fail(f"{value}: {error}", param, ctx)
