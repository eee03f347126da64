"""The uncertainty of validation accuracies, from the number of images alone, and what it leaves of the order of runs."""

from collections.abc import Sequence

from orchestrator.record import RunRecord, Status
from orchestrator.support.statistics import optimism_of_best, significant_difference, standard_error

ACCURACY = "val_acc"


def not_significantly_worse(best: RunRecord, runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Those of `runs`, besides the best one, whose accuracy is not significantly lower; none for another metric than accuracy.

    Only COMPLETE ones: a run that ended early was not measured at its best, and cannot be chosen.
    """
    compared = [run for run in runs if run.best is not None and run.status is Status.COMPLETE]
    if best.best is None or not _has_standard_error(best):
        return []
    value = best.best.value
    error = standard_error(value, best.provenance.validation_images)
    margin = significant_difference(len(compared)) * error
    return [run for run in compared if run.run_id != best.run_id and run.best is not None and value - run.best.value < margin]


def describe_uncertainty(best: RunRecord, runs: Sequence[RunRecord]) -> str:
    """A sentence on the uncertainty of the best of `runs`, for the user who is told its accuracy; "" where none can be given.

    The best of many noisy accuracies is optimistic. Runs that ended early count among the many: they lost to the others on the
    same images.
    """
    if best.best is None or not _has_standard_error(best):
        return ""
    images, count = best.provenance.validation_images, sum(run.best is not None for run in runs)
    error = standard_error(best.best.value, images)
    selected = f"as the best of {count} " if count > 1 else ""
    parts = [
        f"standard error {error:.4f} ({images} images)",
        f"{selected}it may be optimistic by up to {optimism_of_best(count) * error:.4f}",
    ]
    if others := len(not_significantly_worse(best, runs)):
        parts.append(f"{others} other trial{'s are' if others > 1 else ' is'} not significantly worse")
    return "; ".join(parts)


def _has_standard_error(best: RunRecord) -> bool:
    fraction = best.best is not None and 0 <= best.best.value <= 1  # a user's own trainer may count in percent
    return best.metric.name == ACCURACY and fraction and best.provenance.validation_images > 0
