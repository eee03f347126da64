"""The one division of the training images: train, validation, confirmation; stratified, always the same."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.support.seeds import derive

Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Indices:
    """Which training images belong to which part: int64, ascending; disjoint, and together all images."""

    train: Array
    validation: Array
    confirmation: Array


def split(labels: Array, *, seed: int, validation: int, confirmation: int) -> Indices:
    """Divide the images with these classes (int64 N) so that every part has the class proportions of the whole.

    `validation` and `confirmation` are exact numbers of images; train gets the others. What a class cannot give in whole images
    is settled by largest remainder, ties going to the lower class. Depends on the labels and the seed alone: it draws from
    numpy's RandomState, whose stream is frozen by numpy's compatibility policy (NEP 19).
    Raises ValueError where the sizes leave nothing to train on.
    """
    if min(validation, confirmation) < 0 or validation + confirmation >= len(labels):
        raise ValueError(f"{len(labels)} images cannot be split into {validation} + {confirmation} and some to train on")
    shuffled = np.random.RandomState(derive(seed, "split")).permutation(len(labels))
    members = [shuffled[labels[shuffled] == label] for label in np.unique(labels)]
    sizes = np.array([len(images) for images in members], dtype=np.int64)
    validated = _shares(validation, sizes)
    confirmed = _shares(confirmation, sizes - validated)
    parts = [np.split(images, [v, v + c]) for images, v, c in zip(members, validated, confirmed, strict=True)]
    first, second, rest = (np.sort(np.concatenate(part)).astype(np.int64) for part in zip(*parts, strict=True))
    return Indices(train=rest, validation=first, confirmation=second)


def _shares(total: int, sizes: Array) -> Array:
    """`total` divided in proportion to `sizes`: whole numbers, none above its size, each less than 1 from its exact share.

    But a small class of two images or more gets one where there are others to take it from: no part should be without a class.
    """
    whole = int(sizes.sum())
    shares = total * sizes // whole
    remainders = total * sizes % whole
    largest = np.argsort(-remainders, kind="stable")[: total - int(shares.sum())]
    shares[largest] += 1
    for small in np.flatnonzero((shares == 0) & (sizes > 1)):
        giver = int(np.argmax(shares))
        if shares[giver] > 1:
            shares[giver] -= 1
            shares[small] = 1
    return shares
