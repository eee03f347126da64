"""Decoders in processes of their own: what kills one, or keeps it busy for ever, is a damaged file, and the command goes on."""

import atexit
import contextlib
import fcntl
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, final

import numpy as np
import numpy.typing as npt

from orchestrator.errors import OrchestrateError
from trainers.datasets._decoder_process import ANSWER, IMAGE, NO_MEMORY, READY, REQUEST

Images = npt.NDArray[np.uint8]

PROGRAM = Path(__file__).with_name("_decoder_process.py")
SECONDS_TO_DECODE = 60.0  # an image of 100 million pixels takes three
SECONDS_TO_START = 600.0  # torch is imported, which a busy disk may take long over
_SECONDS_IDLE = 60  # after which a decoder ends that nobody has asked
_LONGEST = 100_000  # bytes of what a process said before its end

# What decoders remark on files that are sound. Nothing that libpng says is damage: of a PNG file the checksums tell.
_DAMAGE = re.compile(
    r"Corrupt JPEG data: (?!.*extraneous bytes before marker 0xd9).*|Premature end of JPEG file.*|Inconsistent progression.*"
)

# Ended by the system, or by a user, and not by what it decoded.
_FROM_OUTSIDE = (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)


class Damaged(Exception):
    """A file that is damaged, or that no decoder understands; the text says why."""


class _Ended(Exception):
    """The process of a decoder has ended."""


@final
class Decoder:
    """One process that decodes one image at a time. Not thread safe."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._printed: IO[bytes] | None = None  # what the process says to stderr

    def square(self, content: bytes, size: int, orientation: int) -> Images:
        """The central square of an image, uint8 3×size×size. Raises Damaged; OrchestrateError where there is no memory for it."""
        try:
            return self._square(content, size, orientation)
        except _Ended:  # for want of requests; another one begins
            try:
                return self._square(content, size, orientation)
            except _Ended:
                raise Damaged("its decoder ended without an answer") from None

    def kill(self) -> None:
        """End the process; a thread that waits for its answer gets an error."""
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """End the process, and wait for its end."""
        if self._process is not None:
            # One that has ended already, for want of requests, does not take what was still to be written.
            with contextlib.suppress(BrokenPipeError), self._process:
                self._process.kill()
            self._process = None
        if self._printed is not None:
            self._printed.close()
            self._printed = None

    def _square(self, content: bytes, size: int, orientation: int) -> Images:
        if self._process is not None and self._process.poll() is not None:
            self.close()  # it ended while it had nothing to do, so no image is to blame
        process = self._process or self._begin()
        try:
            assert process.stdin is not None
            process.stdin.write(REQUEST.pack(len(content), size, orientation) + content)
            process.stdin.flush()
            kind, text_size, pixels_size = ANSWER.unpack(self._read(process, ANSWER.size, SECONDS_TO_DECODE))
            answer = self._read(process, text_size + pixels_size, SECONDS_TO_DECODE)
        except (BrokenPipeError, EOFError):
            raise self._reason(process) from None
        except TimeoutError:
            self.close()
            raise Damaged(f"its decoder did not end within {SECONDS_TO_DECODE:.0f} s") from None
        except BaseException:  # Ctrl-C: what it still answers would be taken for the answer to the next request
            self.close()
            raise
        text = answer[:text_size].decode(errors="backslashreplace")
        if kind == NO_MEMORY:
            raise OrchestrateError("there is not enough memory to decode an image")
        if kind != IMAGE:
            raise Damaged(text)
        if found := _DAMAGE.search(text):
            raise Damaged(found[0])
        return np.frombuffer(answer, dtype=np.uint8, offset=text_size).reshape(3, size, size)

    def _begin(self) -> "subprocess.Popen[bytes]":
        self._printed = _memory_file()
        command = [sys.executable, "-P", str(PROGRAM), str(_SECONDS_IDLE)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._printed)
        self._process = process
        try:
            said = self._read(process, len(READY), SECONDS_TO_START)
        except (EOFError, TimeoutError):
            said = b""
        except BaseException:
            self.close()
            raise
        if said != READY:
            words = self._words()[-1:] or ["it says nothing"]
            self.close()
            raise OrchestrateError(f"images cannot be decoded, because torchvision cannot be loaded: {words[0]}")
        return process

    def _reason(self, process: "subprocess.Popen[bytes]") -> Exception:
        """Why the process is gone."""
        code = process.wait()
        words = self._words()[:1]
        self.close()
        if code == 0:
            return _Ended()
        if -code in _FROM_OUTSIDE:
            return OrchestrateError(f"the decoder of images was ended by signal {-code}: is there enough memory?")
        crash = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Damaged(": ".join([f"its decoder crashed with {crash}", *words]))

    def _words(self) -> list[str]:
        """The lines that the process said last: on its image, or while it began."""
        # Read where they are, because the place in the file is the process's as well.
        assert self._printed is not None
        return os.pread(self._printed.fileno(), _LONGEST, 0).decode(errors="backslashreplace").splitlines()

    @staticmethod
    def _read(process: "subprocess.Popen[bytes]", size: int, seconds: float) -> bytes:
        """So many bytes of an answer. Raises EOFError or TimeoutError."""
        assert process.stdout is not None
        descriptor, deadline, parts = process.stdout.fileno(), time.monotonic() + seconds, []
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        while size:
            if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1_000):
                raise TimeoutError
            part = os.read(descriptor, size)
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


_spare: list[Decoder] = []  # that are idle: the import of torch is most of what they cost
_lock = threading.Lock()


@contextlib.contextmanager
def decoders(count: int) -> Iterator[Sequence[Decoder]]:
    """So many decoders. Their processes begin with their first image, and end when they are not asked for a while."""
    with _lock:
        taken = [_spare.pop() if _spare else Decoder() for _ in range(count)]
    try:
        yield taken
    except Exception:
        raise
    except BaseException:  # Ctrl-C
        for decoder in taken:
            decoder.close()
        raise
    finally:
        with _lock:
            _spare.extend(taken)


@atexit.register
def _close_all() -> None:
    for decoder in _spare:
        decoder.close()


def _memory_file() -> IO[bytes]:
    """A file without a name, in memory where the system can: a full disk must not swallow what decoders say."""
    file: IO[bytes]
    if sys.platform == "linux":
        file = os.fdopen(os.memfd_create("decoder"), "r+b", buffering=0)
    else:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open as long as the decoder is used
    # Two processes share the place in the file, and one of them empties it.
    fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) | os.O_APPEND)
    return file
