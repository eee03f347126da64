"""Named points where a crash would hurt most, so that tests can cause one there and check that nothing is lost.

The code says `reached(CrashPoint.JOB_SENT)`. That does nothing, unless the variable `ORCHESTRATE_CRASH` asks for a crash:
"FOLDER|POINT|COUNT", for instance "/tmp/x|job sent|3", kills whichever process is the first to be there for the third time, as
`kill -9` would. The file FOLDER/POINT is made first: it makes sure that there is one crash and not one in every process, and
shows that the point was reached.
"""

import enum
import os
import signal
from pathlib import Path
from typing import final

from orchestrator.errors import InvalidInput

VARIABLE = "ORCHESTRATE_CRASH"


class CrashPoint(enum.StrEnum):
    """Each point, by what was done last. `tests/engine/test_crash_points.py` crashes at every one."""

    # the conductor's process
    STUDY_ASIDE = "study.json written aside"
    STUDY_RENAMED = "study.json renamed"
    RECORD_ASIDE = "record.json written aside"
    RECORD_RENAMED = "record.json renamed"
    JOB_SENT = "job sent"
    EPOCHS_ASIDE = "epochs.jsonl written aside"
    EPOCHS_RENAMED = "epochs.jsonl renamed"
    EPOCH_RECORDED = "epoch recorded, no observer heard it"
    EPOCH_HEARD = "epoch heard, nothing decided"
    PAUSE_ASKED = "pause asked"
    END_HEARD = "end heard, not recorded"
    END_RECORDED = "end recorded, no observer heard it"
    RETRAINED = "retrained, nothing submitted"
    SUBMISSION_ASIDE = "submission.csv written aside"
    SUBMISSION_REMOVED = "submission.csv removed"
    CLASSES_RENAMED = "classes.csv renamed"
    IMAGES_RENAMED = "images.csv renamed"
    # a worker's process
    STATE_LOADED = "state loaded"
    IN_EPOCH = "in an epoch"
    EPOCH_TRAINED = "epoch trained, not told"
    PAUSING = "pause heard, nothing saved"
    LAST_ASIDE = "last.pt written aside"
    LAST_RENAMED = "last.pt renamed"
    BEST_ASIDE = "best.pt written aside"
    BEST_RENAMED = "best.pt renamed"
    TEST_MEASURED = "test set measured, not told"


def reached(point: str) -> None:
    """The process is at this point now."""
    if _asked is not None:
        _asked.reached(point)


@final
class _Crash:
    """The one crash that was asked for."""

    def __init__(self, text: str) -> None:
        folder, point, count = text.rsplit("|", 2)
        self._point = CrashPoint(point)
        self._mark = Path(folder) / point
        self._left = int(count)

    def reached(self, point: str) -> None:
        if point != self._point:
            return
        self._left -= 1
        if self._left == 0:
            try:
                self._mark.touch(exist_ok=False)
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)


def check_variable() -> None:
    """Raise InvalidInput where the variable is set to something else than a crash."""
    if _wrong:
        raise InvalidInput(f"{VARIABLE} must be FOLDER|POINT|COUNT, with one of our tests' crash points, not {_wrong!r}")


_wrong = ""
_asked: _Crash | None = None
if _text := os.environ.get(VARIABLE):
    try:
        _asked = _Crash(_text)
    except ValueError:
        _wrong = _text
