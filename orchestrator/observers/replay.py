"""A copy rebuilt from the run folders: what `orchestrate mirror` does, and a study that is resumed."""

from collections.abc import Iterable, Sequence

from orchestrator.observers.base import Observer
from orchestrator.record import Epoch, RunRecord, Status


def replay(observer: Observer, runs: Iterable[tuple[RunRecord, Sequence[Epoch]]]) -> None:
    """Tell `observer` all that is recorded of these runs, in the order given: that of the trials' numbers.

    A run that is RUNNING stays open: it is resumed later, or its conductor died.
    """
    for record, epochs in runs:
        observer.opened(record, epochs)
        if record.status is not Status.RUNNING:
            observer.closed(record)
