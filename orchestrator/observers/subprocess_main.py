"""The inside of an observer's process: reads calls from a pipe, and makes them one after the other.

The process belongs to no terminal, so Ctrl-C does not reach it. Its log file is its standard output, and also its lock: every
process that writes this copy holds it, helpers that libraries start included, so that the successor of a killed conductor's
observer begins only when the last of them is gone.
"""

import contextlib
import fcntl
import importlib
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO, cast, final, runtime_checkable

from orchestrator.errors import Mismatch, OrchestrateError, TryAgainLater, Unavailable
from orchestrator.observers import wire
from orchestrator.observers.base import Observer
from orchestrator.support.secrets import Secrets
from orchestrator.support.serialization import parse

# Seconds that a process whose conductor died may still use. With the second that W&B's own helper takes to notice, nothing
# is left after two.
_ORPHAN_TIMEOUT = 0.7
# Seconds to wait for the process of a killed conductor to release the copy. Its priority is low: on busy cores 5 were too few.
_LOCK_TIMEOUT = 20.0
# Seconds without a call after which an observer may write what it could not, or did not yet.
_RETRY_INTERVAL = 1.0

_NICENESS = 10

Factory = Callable[[Mapping[str, Any]], Observer]


@runtime_checkable
class Retrying(Protocol):
    """An observer that completes its copy by itself: later than it was told, or when its service can be reached again."""

    def retry(self) -> None:
        """Called about every second while there is nothing else to do."""


@runtime_checkable
class Noting(Protocol):
    """An observer whose copy may be of several kinds."""

    @property
    def note(self) -> str:
        """Which kind it was at the end: "offline"."""


def main(factory: str, answers: int, awaited: bool) -> int:
    """Serve the observer that `factory` ("package.module:function") makes; `answers` is the descriptor to answer on.

    Where the study waits until it is ready, `awaited`, it lowers its priority only from then on. Returns the exit status: 0,
    or 1 when the observer could not begin.
    """
    # The conductor decides when to end, and this process ends with it, however a signal to all of them was meant.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if not awaited:
        _lower_priority()
    os.set_inheritable(answers, False)
    calls = _take_standard_input()
    inbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(calls, inbox), daemon=True).start()
    first = inbox.get()
    if first is None:
        return 1
    configuration = parse(first, any_path=True)
    secrets = Secrets(configuration)
    sys.stdout = cast(TextIO, _Scrubbed(sys.stdout, secrets))
    sys.stderr = cast(TextIO, _Scrubbed(sys.stderr, secrets))

    def say(answer: wire.Answer) -> None:
        with contextlib.suppress(OSError):  # the conductor has closed the pipe
            os.write(answers, wire.ANSWERS.encode(answer))

    try:
        _hold_log()
        observer = _resolve(factory)(configuration)
    except Exception as error:
        traceback.print_exc()
        say(wire.Started(error=wire.StartError(kind=_kind(error), message=secrets.hide(_text(error)))))
        return 1
    say(wire.Started())
    if awaited:
        _lower_priority()
    warning = _serve(observer, inbox)
    note = observer.note if isinstance(observer, Noting) else ""
    say(wire.Finished(warning=None if warning is None else secrets.hide(warning), note=note))
    return 0


def _serve(observer: Observer, inbox: "queue.SimpleQueue[bytes | None]") -> str | None:
    """Make calls until the last one; returns what is wrong with the copy."""
    trouble: str | None = None
    while True:
        try:
            message = _next(inbox)
            if isinstance(message, wire.Finish):
                return observer.finish(message.timeout) or trouble
            _call(message, observer)
        except Exception as error:  # one run that cannot be copied must not affect the others
            traceback.print_exc()
            trouble = trouble or _text(error)
            if isinstance(message, wire.Finish):
                return trouble


def _next(inbox: "queue.SimpleQueue[bytes | None]") -> wire.Call | None:
    """The next call, or None when none came for a while. After the conductor's end the copy is finished at once."""
    try:
        text = inbox.get(timeout=_RETRY_INTERVAL)
    except queue.Empty:
        return None
    return wire.Finish(timeout=_ORPHAN_TIMEOUT / 2) if text is None else wire.CALLS.decode(text)


def _call(message: wire.Call | None, observer: Observer) -> None:
    match message:
        case wire.Opened(record=record, epochs=epochs):
            observer.opened(record, epochs)
        case wire.Measured(record=record, epoch=epoch):
            observer.measured(record, epoch)
        case wire.Closed(record=record):
            observer.closed(record)
        case _ if isinstance(observer, Retrying):
            observer.retry()


def _take_standard_input() -> int:
    """The pipe of calls as a private descriptor: a helper process that inherited it would keep it open."""
    calls = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return calls


def _read(calls: int, inbox: "queue.SimpleQueue[bytes | None]") -> None:
    """Queue every line, so that a slow observer never fills the pipe. When the conductor is gone, end soon."""
    with open(calls, "rb") as stream:
        for text in stream:
            if text.endswith(b"\n"):  # what a killed conductor wrote last may be torn
                inbox.put(text)
    inbox.put(None)
    time.sleep(_ORPHAN_TIMEOUT)
    os._exit(1)


def _lower_priority() -> None:
    """Lower this process's priority: training has the processor first, and a late copy is completed when the study ends.

    On two cores that a small network keeps busy, copies of equal priority made its epochs up to a quarter
    longer. Helpers that libraries start later inherit this. A tenth of a core is left to us where all others are busy.
    """
    os.nice(_NICENESS)
    with contextlib.suppress(OSError):  # Linux may weigh whole sessions against each other, and this process has its own
        Path("/proc/self/autogroup").write_text(str(_NICENESS))


def _hold_log() -> None:
    deadline = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(1, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TryAgainLater("another process is writing this copy; wait for it, then try again") from None
            time.sleep(0.05)


def _resolve(factory: str) -> Factory:
    module, _, function = factory.partition(":")
    return cast(Factory, getattr(importlib.import_module(module), function))


def _kind(error: Exception) -> Literal["unavailable", "mismatch", "busy", "failed"]:
    match error:
        case Unavailable():
            return "unavailable"
        case Mismatch():
            return "mismatch"
        case TryAgainLater():
            return "busy"
    return "failed"


def _text(error: Exception) -> str:
    if isinstance(error, OrchestrateError):
        return str(error)
    return f"{type(error).__name__}: {error}".removesuffix(": ")


@final
class _Scrubbed:
    """A text stream that hides secrets, whoever prints: tracebacks and the logs of libraries quote addresses."""

    def __init__(self, stream: TextIO, secrets: Secrets) -> None:
        self._stream = stream
        self._secrets = secrets

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):  # a full disk takes the log, not the copy
            self._stream.write(self._secrets.hide(text))
            self._stream.flush()
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
