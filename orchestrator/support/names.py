"""Which names studies, runs and plans can have, and when two names are the same."""

import re
import unicodedata

from orchestrator.errors import InvalidInput

LONGEST_NAME = 64  # characters
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}")


def checked_name(name: str, what: str) -> str:
    """`name` if it can be a folder's name on every system. Raises InvalidInput with the rule."""
    if not NAME.fullmatch(name):
        shown = name if len(name) <= 80 else name[:77] + "..."
        raise InvalidInput(
            f"{shown!r} cannot be the name of a {what}: "
            "use 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"
        )
    return name


def is_text(name: str) -> bool:
    """Whether this can be written in UTF-8. A path that the system gave in other bytes cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked_text(name: str) -> str:
    """`name` itself. Raises InvalidInput where it is not text, such as that of a folder from a time before UTF-8."""
    if not is_text(name):
        raise InvalidInput(f"{name!a} is not text in UTF-8, so no record could hold it: rename the file or folder")
    return name


def composed(name: str) -> str:
    """The name with each accent in one character with its letter (NFC): macOS writes é as two, other systems as one."""
    return unicodedata.normalize("NFC", name)
