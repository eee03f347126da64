"""The split is stratified, exact, disjoint, complete and frozen."""

import hashlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.worker.splits import Indices, split


def counts(labels: np.ndarray, part: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(labels[part], minlength=classes)


def test_cifar_sizes_are_exact_in_every_class() -> None:
    labels = np.random.RandomState(0).permutation(np.repeat(np.arange(100), 500)).astype(np.int64)
    found = split(labels, seed=0, validation=5_000, confirmation=5_000)
    for part, size in ((found.train, 400), (found.validation, 50), (found.confirmation, 50)):
        assert set(counts(labels, part, 100).tolist()) == {size}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    labels=st.lists(st.integers(0, 7), min_size=1, max_size=120),
    seed=st.integers(-(2**40), 2**40),
    fractions=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_parts_are_exact_stratified_disjoint_complete_and_ascending(
    labels: list[int], seed: int, fractions: tuple[float, float]
) -> None:
    array = np.array(labels, dtype=np.int64)
    validation = int(fractions[0] * (len(labels) - 1))
    confirmation = int(fractions[1] * (len(labels) - 1 - validation))
    found = split(array, seed=seed, validation=validation, confirmation=confirmation)
    assert (len(found.validation), len(found.confirmation)) == (validation, confirmation)
    together = np.concatenate([found.train, found.validation, found.confirmation])
    assert sorted(together.tolist()) == list(range(len(labels)))
    for part in (found.train, found.validation, found.confirmation):
        assert part.dtype == np.int64
        assert np.all(np.diff(part) > 0)
    sizes = np.bincount(array, minlength=8)
    # Only what the largest class gives to classes that would have none is further from the exact share.
    given = int(np.sum((counts(array, found.validation, 8) == 1) & (validation * sizes < len(labels))))
    assert np.all(np.abs(counts(array, found.validation, 8) - validation * sizes / len(labels)) < 1 + given)
    assert np.all(counts(array, found.validation, 8) >= np.minimum(validation * sizes // len(labels), 1))
    classes = int(np.sum(sizes > 0))
    if min(validation, confirmation, len(found.train)) >= classes:  # one image cannot be of two classes
        for part in (found.train, found.validation, found.confirmation):
            assert np.all(counts(array, part, 8)[sizes >= 3] >= 1)


def test_small_classes_are_in_every_part_and_the_others_give_no_more_than_that() -> None:
    labels = np.repeat([0, 1, 2], [1_000, 4, 500])
    found = split(labels, seed=0, validation=100, confirmation=100)
    assert [counts(labels, part, 3).tolist() for part in (found.train, found.validation, found.confirmation)] == [
        [868, 2, 434],
        [66, 1, 33],
        [66, 1, 33],
    ]


def digest(found: Indices) -> str:
    return hashlib.sha256(b"".join(part.tobytes() for part in (found.train, found.validation, found.confirmation))).hexdigest()


def test_the_draw_is_frozen() -> None:
    labels = np.arange(1_797, dtype=np.int64) % 10
    found = split(labels, seed=0, validation=180, confirmation=180)
    assert digest(found) == "1d6bb47df9563d0f7b6e95bcff3347fea209f7c89f414a878321c92412861de0"


def test_the_seed_decides_and_global_random_state_does_not() -> None:
    labels = np.arange(300, dtype=np.int64) % 10
    np.random.seed(1)
    first = split(labels, seed=3, validation=30, confirmation=30)
    np.random.seed(2)
    assert digest(split(labels.copy(), seed=3, validation=30, confirmation=30)) == digest(first)
    assert digest(split(labels, seed=4, validation=30, confirmation=30)) != digest(first)


def test_each_image_is_as_likely_as_any_other_to_be_validated() -> None:
    labels = np.arange(40, dtype=np.int64) % 2
    drawn = np.zeros(40)
    for seed in range(2_000):
        drawn[split(labels, seed=seed, validation=10, confirmation=10).validation] += 1
    # 2,000 draws with probability 1/4: 500 expected, standard deviation 19.4; five of them either side
    assert np.all(np.abs(drawn - 500) < 97)


@pytest.mark.parametrize(("validation", "confirmation"), [(5, 5), (10, 0), (-1, 2), (2, -1), (11, 0)])
def test_sizes_that_leave_nothing_to_train_on_are_refused(validation: int, confirmation: int) -> None:
    with pytest.raises(ValueError, match="10 images cannot be split"):
        split(np.zeros(10, dtype=np.int64), seed=0, validation=validation, confirmation=confirmation)
