"""The crop and the mirror image: which windows of an image are drawn, how often, and from which seeds."""

import dataclasses
from collections import Counter

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.small_images import small_images_info
from trainers.augmentation import crop_and_flip as crop_and_flip_module
from trainers.augmentation.crop_and_flip import RandomCrop, Windows
from trainers.augmentation.pipeline import Pipeline
from trainers.augmentation.transforms import Transform, default_transforms
from trainers.loop.random_streams import generator


def windows(image: torch.Tensor, padding: int, flip: bool) -> list[torch.Tensor]:
    """Every picture that may become of one image C×H×H."""
    size = image.shape[-1]
    padded = torch.nn.functional.pad(image, (padding,) * 4)
    crops = [padded[:, top : top + size, left : left + size] for top in range(2 * padding + 1) for left in range(2 * padding + 1)]
    return crops + [crop.flip(-1) for crop in crops if flip]


def pipeline(images: torch.Tensor, *transforms: Transform) -> Pipeline:
    return Pipeline(images, transforms, size=images.shape[-1], mean=(0.5,) * images.shape[1])


def crop_and_flip(images: torch.Tensor, *, padding: int, flip: bool) -> Pipeline:
    return pipeline(images, *default_transforms(dataclasses.replace(small_images_info(), padding=padding, flip=flip)))


@settings(max_examples=40, deadline=None)
@given(
    channels=st.sampled_from([1, 3]),
    size=st.integers(1, 9),
    padding=st.integers(0, 4),
    flip=st.booleans(),
    seed=st.integers(0, 2**31 - 1),
)
def test_every_augmented_image_is_a_window_of_its_own_source(
    channels: int, size: int, padding: int, flip: bool, seed: int
) -> None:
    images = torch.randint(1, 256, (6, channels, size, size), dtype=torch.uint8, generator=generator(seed))
    before = images.clone()
    augment = crop_and_flip(images, padding=padding, flip=flip)
    indices = torch.randint(0, 6, (10,), generator=generator(seed))
    batch = augment.batch(indices, augment.draw(generator(seed)))
    assert batch.dtype == torch.uint8
    for index, augmented in zip(indices, batch, strict=True):
        assert any(torch.equal(augmented, window) for window in windows(images[index], padding, flip))
    assert torch.equal(images, before)


def test_a_crop_is_the_same_wherever_it_stands() -> None:
    images = torch.randint(1, 256, (40, 3, 8, 8), dtype=torch.uint8, generator=generator(0))
    drawn = RandomCrop(padding=2).draw(40, generator(5))
    first = Windows(images, padding=2, mirrored=False).crop(torch.arange(40), drawn, None)
    assert torch.equal(RandomCrop(padding=2)(images, drawn), first)


def test_mirror_images_that_are_kept_are_those_that_would_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(1, 256, (40, 3, 8, 8), dtype=torch.uint8, generator=generator(0))
    kept = crop_and_flip(images, padding=2, flip=True)
    monkeypatch.setattr(crop_and_flip_module, "_MOST_BYTES", 1000)
    made = crop_and_flip(images, padding=2, flip=True)
    indices = torch.randperm(40, generator=generator(1))
    assert torch.equal(kept.batch(indices, kept.draw(generator(2))), made.batch(indices, made.draw(generator(2))))


def test_seeds_keep_giving_the_images_that_recorded_runs_were_trained_on() -> None:
    images = torch.randint(0, 256, (50, 3, 8, 8), dtype=torch.uint8, generator=generator(0))
    augment = crop_and_flip(images, padding=4, flip=True)
    batch = augment.batch(torch.arange(50), augment.draw(generator(11)))
    stream = generator(11)
    top, left = torch.randint(0, 9, (2, 50), generator=stream).tolist()
    mirrored = (torch.rand(50, generator=stream) < 0.5).tolist()
    for index, image in enumerate(images):
        padded = torchvision.transforms.functional.pad(image, [4])
        crop = torchvision.transforms.functional.crop(padded, top[index], left[index], 8, 8)
        assert torch.equal(batch[index], crop.flip(-1) if mirrored[index] else crop)


def test_outcomes_are_as_frequent_as_with_torchvision() -> None:
    # 18 different outcomes: every window and mirror image of these pixels can be told from every other.
    image = torch.arange(1, 17, dtype=torch.uint8).view(1, 4, 4)
    count = 9_000
    augment = crop_and_flip(image.expand(count, 1, 4, 4), padding=1, flip=True)
    ours = augment.batch(torch.arange(count), augment.draw(generator(3)))
    per_image = torchvision.transforms.Compose(
        [torchvision.transforms.RandomCrop(4, padding=1), torchvision.transforms.RandomHorizontalFlip()]
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        theirs = torch.stack([per_image(image) for _ in range(count)])
    our_counts, their_counts = (Counter(bytes(one.flatten().tolist()) for one in batch) for batch in (ours, theirs))
    assert our_counts.keys() == their_counts.keys()
    assert len(our_counts) == 18
    for counts in (our_counts, their_counts):
        # Pearson's chi-squared with 17 degrees of freedom exceeds 40.8 once in a thousand times.
        assert sum((seen - count / 18) ** 2 / (count / 18) for seen in counts.values()) < 40.8


def test_draws_are_uniform_independent_and_new_in_every_epoch() -> None:
    augment = crop_and_flip(torch.zeros(20_000, 3, 8, 8, dtype=torch.uint8), padding=4, flip=True)
    (corner, flip), (next_corner, _) = (augment.draw(generator(seed)).transforms for seed in (1, 2))
    expected = 20_000 / 9
    for offsets in (corner["top"], corner["left"]):
        # with 8 degrees of freedom 26.1 is exceeded once in a thousand times
        assert sum((int(seen) - expected) ** 2 / expected for seen in torch.bincount(offsets, minlength=9)) < 26.1
    assert abs(flip["mirrored"].float().mean().item() - 0.5) < 0.015
    pairs = torch.stack([corner["top"], corner["left"], flip["mirrored"].long()]).float()
    assert torch.corrcoef(pairs).triu(1).abs().max() < 0.03
    assert (corner["top"] == next_corner["top"]).float().mean() < 0.2
