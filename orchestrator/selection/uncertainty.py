"""How far accuracies are off by the chance of which images they were measured on, and what that leaves of their order."""

from collections.abc import Sequence

from orchestrator.record import RunRecord, Status
from orchestrator.support.statistics import behind_the_highest, highest_above_truth, standard_error

ACCURACY = "val_acc"


def as_good_by_chance(best: RunRecord, runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Those of `runs` besides the best one that may be as good; none where it is not the validation accuracy that counts.

    Only COMPLETE ones: what was ended early was not measured at its best, and cannot be chosen.
    """
    compared = [run for run in runs if run.best is not None and run.status is Status.COMPLETE]
    if best.best is None or not _known(best):
        return []
    value = best.best.value
    error = standard_error(value, best.provenance.validation_images)
    reach = behind_the_highest(len(compared)) * error
    return [run for run in compared if run.run_id != best.run_id and run.best is not None and value - run.best.value < reach]


def doubt(best: RunRecord, runs: Sequence[RunRecord]) -> str:
    """A sentence on how far the best of `runs` can be believed, for the user who is told its accuracy; "" where nothing is known.

    The highest of many noisy figures is too high, and which of several like it is highest is chance. Whoever was ended early
    counts among the many: it lost to the others on the same images.
    """
    if best.best is None or not _known(best):
        return ""
    images, count = best.provenance.validation_images, sum(run.best is not None for run in runs)
    error = standard_error(best.best.value, images)
    others = len(as_good_by_chance(best, runs))
    rivals = f", and {others} more may be as good" if others else ""
    among = f", as the highest of {count}," if count > 1 else ""
    return (
        f"its standard error on {images} images is {error:.4f}: by chance alone{among} it may be too high by "
        f"{highest_above_truth(count) * error:.4f}{rivals}"
    )


def _known(best: RunRecord) -> bool:
    return best.metric.name == ACCURACY and best.provenance.validation_images > 0
