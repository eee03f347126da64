"""What becomes of a run that failed: a rule for each kind of failure, and a function of the record alone (docs/decisions.md)."""

import enum
from collections.abc import Sequence

from orchestrator.errors import BadData, DiskError, MissingInput, OrchestrateError
from orchestrator.record import Failure, FailureKind

RETRIES = 2  # of a run, each elsewhere and from the last checkpoint


class Remedy(enum.Enum):
    """What happens next."""

    RETRY = "retry"  # elsewhere, from the last checkpoint
    FAIL = "fail"  # the run is over
    STOP = "stop"  # the study: its other runs would fail the same way; this one stays to be resumed


def remedy(failure: Failure, setbacks: Sequence[Failure]) -> Remedy:
    """What to do about a failure, after these earlier ones of the same run.

    The same exception twice, in two processes, is the run's own; out of memory comes here only after smaller micro-batches did
    not help, and divergence would only be repeated.
    """
    match failure.kind:
        case FailureKind.DISK | FailureKind.DATA:
            return Remedy.STOP
        case FailureKind.OUT_OF_MEMORY | FailureKind.DIVERGED:
            return Remedy.FAIL
        case FailureKind.CRASHED if failure in setbacks:
            return Remedy.FAIL
    return Remedy.RETRY if len(setbacks) < RETRIES else Remedy.FAIL


def stopping(run_id: str, failure: Failure) -> OrchestrateError:
    """The error that ends a study because of a failure that concerns every run."""
    if failure.kind is FailureKind.DISK:
        return DiskError(f"{run_id}: {failure.message}. Nothing is lost: make room, and the same command carries on")
    kind = MissingInput if failure.error == MissingInput.__name__ else BadData
    return kind(f"{run_id}: {failure.message}. Nothing is lost: once that is mended, the same command carries on")
