"""Turns Ctrl-C and SIGTERM into exceptions, when it is safe to raise one."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_SECONDS_TO_LOOK_AGAIN = 0.02
_IMPORTING = "<frozen importlib._bootstrap>"


class Terminated(BaseException):
    """SIGTERM. Not an Exception, like KeyboardInterrupt, so that only the cleanup of workers and records handles it."""


_MEANINGS: dict[int, type[BaseException]] = {signal.SIGTERM: Terminated, signal.SIGINT: KeyboardInterrupt}


def raise_interruptions() -> None:
    """Raise `Terminated` on SIGTERM and KeyboardInterrupt on Ctrl-C, in the main thread, never inside an import.

    A library that is being imported runs C++ code that calls Python; an exception that is raised there cannot propagate and
    aborts the process (seen: exit by SIGABRT while the command was loading its libraries). Imports end within seconds,
    so a signal waits for their end. A Ctrl-C that the parent process set to be ignored stays ignored.
    """
    arrived, _ = _handler(0)
    signal.signal(signal.SIGALRM, arrived)
    signal.signal(signal.SIGTERM, arrived)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, arrived)


@contextlib.contextmanager
def ctrl_c_outside_imports() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C in the same way while this is open; then all is as it was.

    Nothing is done outside the main thread, and where Ctrl-C or the alarm has a meaning of its own.
    """
    usual: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGALRM: signal.SIG_DFL}
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or any(signal.getsignal(number) is not handler for number, handler in usual.items()):
        yield
        return
    arrived, waiting = _handler(_imports(sys._getframe()))
    for number in usual:
        signal.signal(number, arrived)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in usual.items():
            signal.signal(number, handler)
        if waiting:
            raise KeyboardInterrupt


def _handler(outside: int) -> tuple[Callable[[int, FrameType | None], None], list[int]]:
    """A handler of signals, and those that wait; `outside` is the number of imports that this code itself runs in."""
    waiting: list[int] = []

    def arrived(number: int, frame: FrameType | None) -> None:
        if number != signal.SIGALRM:
            waiting.append(number)
        if not waiting:
            return
        if _imports(frame) > outside:
            signal.setitimer(signal.ITIMER_REAL, _SECONDS_TO_LOOK_AGAIN)
            return
        meaning = _MEANINGS[waiting[0]]
        waiting.clear()
        raise meaning

    return arrived, waiting


def _imports(frame: FrameType | None) -> int:
    """How many frames of the import system this code runs in: more than before, while a module is being imported."""
    found = 0
    while frame is not None:
        found += frame.f_code.co_filename == _IMPORTING
        frame = frame.f_back
    return found
