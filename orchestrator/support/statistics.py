"""Standard errors of accuracies, and what the highest of many hides. Pure arithmetic."""

import math
from statistics import NormalDist

_SURE = 0.95  # how often what is said here holds, where nothing but this chance acts


def standard_error(acc: float, images: int) -> float:
    """Of the accuracy `acc`, a fraction, measured on `images` independent images; a fraction itself.

    The binomial one around Agresti and Coull's estimate (The American Statistician 52, 1998), which counts two hits and two
    misses more: so it stays above 0 where every image was recognised. What another seed would change comes on top.
    """
    estimate = (acc * images + 2) / (images + 4)
    return math.sqrt(estimate * (1 - estimate) / (images + 4))


def highest_above_truth(runs: int) -> float:
    """How many standard errors the highest of so many equally good runs lies above the truth, at most."""
    return NormalDist().inv_cdf(_SURE ** (1 / runs))


def behind_the_highest(runs: int) -> float:
    """How many standard errors below the highest of so many runs the truly best one may have come out, at most.

    Multiple comparisons with the best (Hsu, The Annals of Statistics 9, 1981) with Bonferroni's bound: a difference has
    √2 times the error of one figure. As if each run had images of its own; on the same ones differences are somewhat smaller.
    """
    return math.sqrt(2) * NormalDist().inv_cdf(1 - (1 - _SURE) / max(runs - 1, 1))
