"""Turns Ctrl-C and SIGTERM into exceptions, when it is safe to raise one."""

import signal
from types import FrameType

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
    waiting: list[int] = []

    def arrived(number: int, frame: FrameType | None) -> None:
        if number != signal.SIGALRM:
            waiting.append(number)
        if not waiting:
            return
        if _importing(frame):
            signal.setitimer(signal.ITIMER_REAL, _SECONDS_TO_LOOK_AGAIN)
            return
        meaning = _MEANINGS[waiting[0]]
        waiting.clear()
        raise meaning

    signal.signal(signal.SIGALRM, arrived)
    signal.signal(signal.SIGTERM, arrived)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, arrived)


def _importing(frame: FrameType | None) -> bool:
    """Whether this code runs because a module is being imported."""
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False
