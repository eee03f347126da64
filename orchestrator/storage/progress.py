"""How far runs came, in the words and figures that all commands share."""

import statistics
from collections.abc import Sequence

from orchestrator.record import INTERRUPTED, Epoch, RunRecord, Status
from orchestrator.storage.lock import Holder


def shown_state(record: RunRecord, holder: Holder | None) -> str:
    """The state of a run as a user is told it; `holder` is who works on its study now."""
    trained = holder is not None and holder.trains(record)
    return INTERRUPTED if record.status is Status.RUNNING and not trained else record.status.value


def so_far(record: RunRecord, epochs: Sequence[Epoch]) -> RunRecord:
    """The record with all that its epochs know: one that is not finished is written when something happens, not after each."""
    return record if record.status.finished else record.with_totals(epochs)


def reached(epochs: int, total: int, best: int | None) -> str:
    """How far a run came, and when it was best where that was earlier: "5 of 5 epochs, best after 4"."""
    return f"{epochs} of {total} epochs" + (f", best after {best}" if best not in (None, epochs) else "")


def reached_by(record: RunRecord) -> str:
    """The same of a record."""
    return reached(record.epochs, record.recipe.epochs, record.best.epoch if record.best is not None else None)


def seconds_left(costs: Sequence[float], *, left: int, at_a_time: int) -> float | None:
    """Seconds that so many further trials take, at the mean of what trials took; None without any, or where none is left."""
    known = [cost for cost in costs if cost > 0]
    return statistics.fmean(known) * left / min(at_a_time, left) if known and left > 0 else None
