"""Any observer in a process of its own, so that nothing it does, and nothing that happens to it, reaches the conductor."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import final

from orchestrator.errors import BadData
from orchestrator.observers import subprocess_main, wire
from orchestrator.observers.wire import StartError
from orchestrator.record import Epoch, RunRecord
from orchestrator.support.disk_lookups import has_content
from orchestrator.support.message_lines import line

_LATE = "it was not completed in time"


@final
class SubprocessObserver:
    """An Observer whose work is done by a child process: every call costs the conductor one append to a queue.

    The child ends by itself, within two seconds, when the conductor dies. It is not started again when it dies first: the
    copy can be completed later, and `finish` says how.
    """

    def __init__(
        self,
        factory: str,
        configuration: object,
        *,
        log: Path,
        copy: str,
        cure: str = "orchestrate mirror",
        awaited: bool = False,
    ) -> None:
        """Start the child; never raises and does not wait.

        `factory` ("package.module:function") makes the observer from `configuration`, plain data or a dataclass. It
        travels through a pipe, because command lines and environments can be read by others and it may hold a password.
        The child's output is appended to the file `log`, which is also its lock: one process per log file at a time.
        `copy` ("the W&B copy of part2") and `cure`, a command, are for messages. `awaited` says that `ready` will be called
        before the study continues, so that the child should be quick to begin.
        """
        self.note = ""  # once it is finished: which kind of copy it is, where there are several
        self._copy = copy
        self._cure = cure
        self._log = log
        self._broken = False
        self._start_error: StartError | None = None
        self._started = False
        self._told = False  # anything to copy
        self._outbox: queue.SimpleQueue[wire.Call | bytes | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[wire.Answer | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = self._start(factory, awaited)
        except OSError as error:
            self._broken = self._started = True
            self._start_error = StartError(kind="failed", message=f"its process cannot be started: {error}")
        else:
            self._outbox.put(line(configuration))

    def opened(self, record: RunRecord, epochs: Sequence[Epoch]) -> None:
        """A job for this run was started."""
        self._tell(wire.Opened(record=record, epochs=tuple(epochs)))

    def measured(self, record: RunRecord, epoch: Epoch) -> None:
        """An epoch was recorded."""
        self._tell(wire.Measured(record=record, epoch=epoch))

    def closed(self, record: RunRecord) -> None:
        """The run's final state, or PAUSED, was recorded."""
        self._tell(wire.Closed(record=record))

    def ready(self, timeout: float) -> StartError | None:
        """Wait up to `timeout` seconds until the observer is ready. None when it is, else why not."""
        if not self._started:
            try:
                answer = self._answers.get(timeout=max(timeout, 0.0))
            except queue.Empty:
                return StartError(kind="unavailable", message=f"{self._copy}: no answer within {timeout:g} seconds")
            self._started = True
            self._start_error = answer.error if isinstance(answer, wire.Started) else self._early_end()
        return self._start_error

    def finish(self, timeout: float) -> str | None:
        """Let the child complete the copy, and end it after `timeout` seconds at the latest.

        Returns None, or a warning that names the cure. A second call finds nothing left to do and returns None.
        """
        deadline = time.monotonic() + timeout
        if self._process is None:
            problem = self._start_error
            self._start_error = None
            return self._warning(problem.message) if problem else None
        self._send(wire.Finish(timeout=timeout))
        reason = self._last_answer(deadline)
        if reason == _LATE and not self._told:  # as after an early Ctrl-C: a copy of nothing lacks nothing
            reason = None
        self._end(self._process, deadline)
        self._process = None
        return self._warning(reason) if reason else None

    def _start(self, factory: str, awaited: bool) -> subprocess.Popen[bytes]:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        answers, answers_of_child = os.pipe()
        try:
            with self._log.open("ab") as log:
                # -P, because a folder `wandb` in the working directory, which W&B makes, would hide the library.
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", __name__, factory, str(answers_of_child), "awaited" if awaited else "later"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=(answers_of_child,),
                    start_new_session=True,
                )
        except OSError:
            os.close(answers)
            raise
        finally:
            os.close(answers_of_child)
        self._threads = [
            threading.Thread(target=self._write, args=(process,), daemon=True),
            threading.Thread(target=self._listen, args=(answers,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        return process

    def _tell(self, call: wire.Call) -> None:
        self._told = True
        self._send(call)

    def _send(self, call: wire.Call) -> None:
        if not self._broken:  # a queue that is never emptied would only grow
            self._outbox.put(call)

    def _write(self, process: subprocess.Popen[bytes]) -> None:
        pipe = process.stdin
        if pipe is None:
            return
        while (item := self._outbox.get()) is not None:
            try:
                pipe.write(item if isinstance(item, bytes) else wire.CALLS.encode(item))
                pipe.flush()
            except (OSError, TypeError, ValueError):  # the child is gone, or this is not plain data
                self._broken = True
                break
        with contextlib.suppress(OSError):  # what was left in the buffer
            pipe.close()

    def _listen(self, answers: int) -> None:
        with open(answers, "rb") as stream:
            for text in stream:
                with contextlib.suppress(BadData):  # the last line of a killed child
                    self._answers.put(wire.ANSWERS.decode(text))
        self._answers.put(None)

    def _last_answer(self, deadline: float) -> str | None:
        """What is wrong with the copy, once the child has answered, died or used up its time."""
        not_ready = self.ready(deadline - time.monotonic())
        if not_ready is not None:
            return not_ready.message if self._started else _LATE
        try:
            answer = self._answers.get(timeout=max(deadline - time.monotonic(), 0.0))
        except queue.Empty:
            return _LATE
        if isinstance(answer, wire.Finished):
            self.note = answer.note
            return answer.warning
        return self._early_end().message

    def _early_end(self) -> StartError:
        status: int | None = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._process.wait(timeout=1.0)  # its pipe is closed, so it is ending
        how = f"killed by signal {-status}" if status is not None and status < 0 else f"exit status {status}"
        return StartError(kind="failed", message=f"its process ended early ({how})")

    def _end(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        try:
            process.wait(max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._broken = True
        self._outbox.put(None)
        for thread in self._threads:
            thread.join(timeout=1.0)

    def _warning(self, reason: str) -> str:
        log = f" The log is {self._log}." if has_content(self._log) else ""
        return f"{self._copy} is incomplete: {reason}.{log} To complete it, run: {self._cure}"


if __name__ == "__main__":
    status = subprocess_main.main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "awaited")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # the copy is complete; an orderly end of all libraries would only take time
