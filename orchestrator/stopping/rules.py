"""Why a session may end before the study has its trials: on request, without improvement, or at the end of its budget."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, final

from orchestrator.record import RunRecord, Status
from orchestrator.storage.study_folder import StudyFolder


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnd:
    """Why no further trial is started. `reason`, and `advice` on how to resume, are for the user.

    With `suspend`, running trials are suspended with their checkpoints. Without, they are completed, and paused trials that the
    scheduler promotes are resumed.
    """

    reason: str
    advice: str = "run the same command to resume"
    suspend: bool = False


EXHAUSTED = SessionEnd(
    reason="every setting of the search space was tried", advice="use --replicate to train them again with fresh seeds"
)


class StoppingRule(Protocol):
    """A rule that ends a session early. It is told of every change of a trial's record, those of earlier sessions included."""

    def note(self, record: RunRecord) -> None:
        """A trial's record is now this one."""

    def end(self) -> SessionEnd | None:
        """Why the session should end now, or None. An end without `suspend` may be withdrawn by a later call."""


def session_end(rules: Iterable[StoppingRule]) -> SessionEnd | None:
    """The end that applies now: of the rules that ask for one the first, and one that suspends before one that does not."""
    ends = [end for end in (rule.end() for rule in rules) if end is not None]
    return max(ends, key=lambda end: end.suspend, default=None)


@final
class StopRequested:
    """Ends the session after `orchestrate stop`, from the moment on that the session has the study's lock."""

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder

    def note(self, record: RunRecord) -> None:
        """Nothing depends on the trials."""

    def end(self) -> SessionEnd | None:
        """An end that suspends, as soon as the stop was requested. Raises DiskError as `StudyFolder.stop_requested` does."""
        return SessionEnd(reason="stopped by `orchestrate stop`", suspend=True) if self._folder.stop_requested() else None


@final
class NoImprovement:
    """Ends the session when so many trials in a row, by their numbers, were finished or paused without a new best one.

    Failed trials say nothing about the search and are not counted. Running trials may still improve, and are completed.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._best: RunRecord | None = None
        self._judged: set[int] = set()
        self._since = 0  # trials after the best one

    def note(self, record: RunRecord) -> None:
        """Count a trial that was finished or paused, and remember the best."""
        judged = record.status.finished or (record.status is Status.PAUSED and not record.suspended)
        if not judged or record.status is Status.FAILED:
            return
        self._judged.add(record.number)
        if record.beats(self._best):
            self._best = record
        if self._best is not None:
            best = self._best.number
            self._since = sum(number > best for number in self._judged)

    def end(self) -> SessionEnd | None:
        """An end when the best trial is `patience` trials ago."""
        if self._best is None or self._since < self._patience:
            return None
        reason = f"the best trial, {self._best.run_id}, was not improved by the {self._since} trials after it"
        return SessionEnd(reason=reason, advice="run the same command with a larger --patience, or without, to resume")
