"""Standard errors of accuracies, and bounds for the best of several. Pure arithmetic."""

import math
from statistics import NormalDist

_CONFIDENCE = 0.95  # of the one-sided bounds, where the choice of images is the only source of variance


def standard_error(acc: float, images: int) -> float:
    """Of the accuracy `acc`, a fraction, measured on `images` independent images; a fraction itself.

    The binomial one around Agresti and Coull's estimate (The American Statistician 52, 1998), which counts two hits and two
    misses more: so it stays above 0 where every image was recognised. The variance between seeds comes on top. NaN where `acc`
    is no fraction, as what a user's own trainer calls accuracy may be, or where there are no images.
    """
    if not 0 <= acc <= 1 or images < 1:
        return math.nan
    estimate = (acc * images + 2) / (images + 4)
    return math.sqrt(estimate * (1 - estimate) / (images + 4))


def optimism_of_best(runs: int) -> float:
    """Upper bound, in standard errors, of how far the best of so many equally good runs lies above its true value."""
    return NormalDist().inv_cdf(_CONFIDENCE ** (1 / runs))


def significant_difference(runs: int) -> float:
    """The smallest difference to the best of so many runs, in standard errors, that is significant.

    Multiple comparisons with the best (Hsu, The Annals of Statistics 9, 1981) with Bonferroni's bound: a difference has
    √2 times the error of one accuracy. As if each run had images of its own; on the same ones differences are somewhat smaller.
    """
    return math.sqrt(2) * NormalDist().inv_cdf(1 - (1 - _CONFIDENCE) / max(runs - 1, 1))
