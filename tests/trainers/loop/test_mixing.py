"""Mixing: images and labels are mixed alike, and as often as the probabilities say."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.augmentation.mixing import CutMix, Mixer, MixUp


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**31),
    size=st.integers(2, 9),
    mix=st.sampled_from([MixUp(alpha=0.4), CutMix(alpha=1.0)]),
    classes=st.integers(2, 7),
)
def test_labels_are_mixed_as_the_images_are(seed: int, size: int, mix: MixUp | CutMix, classes: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        # Each image is its own number everywhere, so that what was mixed can be read off its pixels.
        images = torch.arange(size, dtype=torch.float32).view(-1, 1, 1, 1).expand(size, 3, 8, 8).clone()
        labels = torch.randint(0, classes, (size,))
        mixed, shares = Mixer([mix], classes)(images, labels)
    assert mixed.shape == images.shape
    assert shares.shape == (size, classes)
    assert torch.allclose(shares.sum(1), torch.ones(size), atol=1e-6)
    assert bool((shares >= 0).all())
    for place in range(size):
        partner = (place - 1) % size
        part = float((mixed[place] - place).mean()) / (partner - place)  # of the partner, in the image
        expected = torch.zeros(classes)
        expected[labels[place]] += 1 - part
        expected[labels[partner]] += part
        assert torch.allclose(shares[place], expected, atol=1e-5)


def test_so_many_batches_are_mixed_as_the_probabilities_say() -> None:
    images, labels = torch.arange(4.0).view(-1, 1, 1, 1).expand(4, 1, 8, 8), torch.arange(4)
    mixer = Mixer([MixUp(alpha=1.0, probability=0.3), CutMix(alpha=1.0, probability=0.5)], 4)
    found = {"neither": 0, "mixup": 0, "cutmix": 0}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        for _ in range(600):
            mixed, _ = mixer(images.clone(), labels)
            if torch.equal(mixed, images):
                found["neither"] += 1
            else:
                found["cutmix" if set(mixed.flatten().tolist()) <= {0.0, 1.0, 2.0, 3.0} else "mixup"] += 1
    # A rectangle without pixels leaves a batch as it is: some of cutmix's do. Six standard deviations of 600 draws.
    assert found["mixup"] / 600 == pytest.approx(0.3, abs=0.12)
    assert found["cutmix"] / 600 == pytest.approx(0.5, abs=0.13)
