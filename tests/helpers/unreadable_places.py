"""Places that the operating system refuses to read, as a network disk does whose server is away: also for root."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def refuse(monkeypatch: pytest.MonkeyPatch, place: Path, number: int, *, names_only: bool = False) -> None:
    """Let every look at what lies in `place` fail with this error; with `names_only` just the listing of its names.

    Of `place` itself only the content is refused, as by the mode of a folder or a file.
    """
    target = os.path.abspath(place)  # noqa: PTH100 - the same as below, of text

    def guarded(function: Callable[..., Any], refused: Callable[[str], bool]) -> Callable[..., Any]:
        def guard(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            if not isinstance(path, int) and refused(os.path.abspath(os.fspath(path))):  # noqa: PTH100 - paths may be bytes
                raise OSError(number, os.strerror(number), os.fspath(path))
            return function(path, *args, **kwargs)

        return guard

    def listed(path: str) -> bool:
        return path == target or below(path)

    def below(path: str) -> bool:
        return not names_only and path.startswith(f"{target}{os.sep}")

    for module, name, refused in (
        (os, "listdir", listed),
        (os, "scandir", listed),
        (os, "stat", below),
        (os, "lstat", below),
        (os, "open", lambda path: (path == target and Path(target).is_file()) or below(path)),
        (io, "open", lambda path: path == target or below(path)),
    ):
        monkeypatch.setattr(module, name, guarded(getattr(module, name), refused))
