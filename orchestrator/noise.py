"""How far an accuracy is off by the chance of which images it was measured on, and what that leaves of an order."""

import math
from collections.abc import Sequence

from orchestrator.record import RunRecord

ACCURACY = "val_acc"
WIDTH = 2.0  # standard errors to either side: some 95 % of what chance does


def standard_error(acc: float, images: int) -> float:
    """Of the accuracy `acc`, a fraction, measured on `images` independent images; a fraction itself.

    The binomial one around Agresti and Coull's estimate (The American Statistician 52, 1998), which counts two hits and two
    misses more: so it stays above 0 where every image was recognised. What another seed would change comes on top.
    """
    estimate = (acc * images + 2) / (images + 4)
    return math.sqrt(estimate * (1 - estimate) / (images + 4))


def margin(run: RunRecord) -> float | None:
    """How far the accuracy that the run is judged by may be off; None where it is judged by something else."""
    images = run.provenance.validation_images
    if run.best is None or run.metric.name != ACCURACY or not images:
        return None
    return WIDTH * standard_error(run.best.value, images)


def as_good_by_chance(best: RunRecord, others: Sequence[RunRecord]) -> list[RunRecord]:
    """The other runs whose accuracy is less than the best one's margin below it."""
    width = margin(best)
    if width is None or best.best is None:
        return []
    value = best.best.value
    return [run for run in others if run.run_id != best.run_id and run.best is not None and value - run.best.value < width]


def doubt(best: RunRecord, runs: Sequence[RunRecord]) -> str:
    """A sentence on how far the best of `runs` can be believed, for the user who is told its accuracy; "" where nothing is known.

    The highest of many noisy figures is too high, and which of several like it is highest is chance.
    """
    width = margin(best)
    if width is None:
        return ""
    others = len(as_good_by_chance(best, runs))
    rivals = f"; {others} more {'lies' if others == 1 else 'lie'} within that, and may be as good" if others else ""
    return (
        f"by chance that may be off by {width:.4f} (two standard errors of {best.provenance.validation_images} images), "
        f"and as the highest of {len(runs)} it is rather too high{rivals}"
    )
