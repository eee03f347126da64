"""What happens to a run that failed: a rule for each kind of failure, and a function of the record alone (docs/decisions.md)."""

import enum
from collections.abc import Sequence

from orchestrator.errors import BadData, DiskError, MissingInput, OrchestrateError
from orchestrator.record import Failure, FailureKind

RETRIES = 2  # of a run, each on another worker and from the last checkpoint


class RetryDecision(enum.Enum):
    """What happens to the run next."""

    RETRY = "retry"  # on another worker, from the last checkpoint
    FAIL = "fail"  # the run is FAILED
    ABORT = "abort"  # the session ends: other runs would fail the same way; this one stays RUNNING, to be resumed


def retry_decision(failure: Failure, setbacks: Sequence[Failure]) -> RetryDecision:
    """The rule for a failure, after these earlier ones of the same run.

    The same exception twice, in two processes, is the run's own; out of memory is reported only after smaller micro-batches did
    not help, and divergence would only be repeated.
    """
    match failure.kind:
        case FailureKind.DISK | FailureKind.DATA:
            return RetryDecision.ABORT
        case FailureKind.OUT_OF_MEMORY | FailureKind.DIVERGED:
            return RetryDecision.FAIL
        case FailureKind.CRASHED if failure in setbacks:
            return RetryDecision.FAIL
    return RetryDecision.RETRY if len(setbacks) < RETRIES else RetryDecision.FAIL


def study_error(run_id: str, failure: Failure) -> OrchestrateError:
    """The error that ends a session because of a failure that concerns every run."""
    if failure.kind is FailureKind.DISK:
        return DiskError(f"{run_id}: {failure.message}. Free some disk space, then run the same command to resume")
    kind = MissingInput if failure.error == MissingInput.__name__ else BadData
    return kind(f"{run_id}: {failure.message}. Fix the cause, then run the same command to resume")
