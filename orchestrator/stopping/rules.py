"""Why a session may end before the study has its trials: on request, for want of improvement, or for want of time."""

from dataclasses import dataclass
from typing import Protocol, final

from orchestrator.record import RunRecord, Status
from orchestrator.storage.study_folder import StudyFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnd:
    """No trial is begun any more. `reason` and `advice`, how to go on, are for the user.

    With `pause`, the trials that run are paused with their checkpoints; else they are run on, and paused ones that deserve it are
    resumed.
    """

    reason: str
    advice: str = "the same command goes on"
    pause: bool = False


EXHAUSTED = SessionEnd(
    reason="every setting of the search space was tried", advice="--replicate trains them again, with fresh seeds"
)


class StoppingRule(Protocol):
    """A rule by which a session ends. It hears of every change of a trial's record, those of earlier sessions included."""

    def note(self, record: RunRecord) -> None:
        """A trial's record is now this one."""

    def end(self) -> SessionEnd | None:
        """What the rule says at this moment; it may take an End without `pause` back."""


@final
class Stop:
    """Ends when `orchestrate stop` asks for it, from the moment on that the session has the study's lock."""

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder

    def note(self, record: RunRecord) -> None:
        """Nothing depends on the trials."""

    def end(self) -> SessionEnd | None:
        """An End as soon as somebody has asked."""
        return SessionEnd(reason="stopped, as `orchestrate stop` asked", pause=True) if self._folder.stop_requested() else None


@final
class Patience:
    """Ends when so many trials, one after the other by their numbers, were finished, or paused, without a new best one.

    Failed trials say nothing about the search and are not counted. What runs already may still improve, and is run on.
    """

    def __init__(self, trials: int) -> None:
        self._trials = trials
        self._best: RunRecord | None = None
        self._seen: set[int] = set()
        self._since = 0  # trials after the best one

    def note(self, record: RunRecord) -> None:
        """Count a trial that was judged, and remember the best."""
        judged = record.status.finished or (record.status is Status.PAUSED and not record.suspended)
        if not judged or record.status is Status.FAILED:
            return
        self._seen.add(record.number)
        if record.status is Status.COMPLETE and (self._best is None or record.order() < self._best.order()):
            self._best = record
        if self._best is not None:
            best = self._best.number
            self._since = sum(number > best for number in self._seen)

    def end(self) -> SessionEnd | None:
        """An End when the best trial is so many trials ago."""
        if self._best is None or self._since < self._trials:
            return None
        reason = f"the best trial, {self._best.run_id}, was not improved by the {self._since} that came after it"
        return SessionEnd(reason=reason, advice="a larger --patience, or none, goes on")
