"""What may be named how, and the options of a study that its results depend on."""

import re
from dataclasses import dataclass

from orchestrator.errors import InvalidInput

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def checked_name(name: str, what: str) -> str:
    """`name` if it can be a folder's name on every system. Raises InvalidInput with the rule."""
    if not NAME.fullmatch(name):
        shown = name if len(name) <= 80 else name[:77] + "..."
        raise InvalidInput(
            f"{shown!r} cannot be the name of a {what}: "
            "use 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"
        )
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOptions:
    """The options that decide what a study finds: kept in study.json, and refused when they differ on resume."""

    dataset: str
    seed: int
    epochs: int  # of a trial
    pruner: str
    sampler: str
