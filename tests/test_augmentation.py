"""The batched crops and mirror images: each is what torchvision would have made of that image alone, and as likely."""

from collections import Counter

import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.contracts import Suits
from trainers._augmentation import RandomCropAndFlip
from trainers._preprocessing import EvaluationTransform, ImageShape, Preprocessing
from trainers._streams import generator


def windows(image: torch.Tensor, padding: int, flip: bool) -> list[torch.Tensor]:
    """Every picture that may become of one image C×H×H."""
    size = image.shape[-1]
    padded = torch.nn.functional.pad(image, (padding,) * 4)
    crops = [padded[:, top : top + size, left : left + size] for top in range(2 * padding + 1) for left in range(2 * padding + 1)]
    return crops + [crop.flip(-1) for crop in crops if flip]


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
    augment = RandomCropAndFlip(images, padding=padding, flip=flip)
    indices = torch.randint(0, 6, (10,), generator=generator(seed))
    batch = augment.batch(indices, augment.draw(generator(seed)))
    assert batch.dtype == torch.uint8
    for index, augmented in zip(indices, batch, strict=True):
        assert any(torch.equal(augmented, window) for window in windows(images[index], padding, flip))
    assert torch.equal(images, before)


def test_outcomes_are_as_frequent_as_with_torchvision() -> None:
    # 18 different outcomes: every window and mirror image of these pixels can be told from every other.
    image = torch.arange(1, 17, dtype=torch.uint8).view(1, 4, 4)
    count = 9_000
    augment = RandomCropAndFlip(image.expand(count, 1, 4, 4), padding=1, flip=True)
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
    augment = RandomCropAndFlip(torch.zeros(20_000, 3, 8, 8, dtype=torch.uint8), padding=4, flip=True)
    draws, next_draws = (augment.draw(generator(seed)) for seed in (1, 2))
    expected = 20_000 / 9
    for offsets in (draws.top, draws.left):
        # with 8 degrees of freedom 26.1 is exceeded once in a thousand times
        assert sum((int(seen) - expected) ** 2 / expected for seen in torch.bincount(offsets, minlength=9)) < 26.1
    assert abs(draws.mirrored.float().mean().item() - 0.5) < 0.015
    pairs = torch.stack([draws.top, draws.left, draws.mirrored.long()]).float()
    assert torch.corrcoef(pairs).triu(1).abs().max() < 0.03
    assert (draws.top == next_draws.top).float().mean() < 0.2


def suits() -> Suits:
    return Suits(
        classes=2,
        channels=3,
        size=8,
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.25, 0.3),
        padding=2,
        flip=True,
        train_images=4,
        validation_images=1,
        confirmation_images=1,
        batch_sizes=(2,),
        trial_epochs=1,
        retrain_epochs=1,
    )


def test_the_evaluation_transform_only_normalises() -> None:
    facts = suits()
    for size in (8, 32):
        images = torch.randint(0, 256, (5, 3, size, size), dtype=torch.uint8, generator=generator(0))
        before = images.clone()
        preprocessing = Preprocessing(mean=facts.mean, std=facts.std, stored=ImageShape(channels=3, size=size), size=size)
        transform = EvaluationTransform(preprocessing, torch.device("cpu"))
        expected = torchvision.transforms.functional.normalize(images.float() / 255, list(facts.mean), list(facts.std))
        assert torch.allclose(transform(images), expected, atol=1e-5)
        assert torch.equal(transform(images), transform(images))
        assert torch.equal(images, before)


def test_images_are_resized_on_the_way_to_the_model() -> None:
    facts = suits()
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=generator(0))
    for size in (20, 4):
        preprocessing = Preprocessing(mean=facts.mean, std=facts.std, stored=ImageShape(channels=3, size=8), size=size)
        assert Preprocessing.from_plain(preprocessing.to_plain()) == preprocessing
        resized = torchvision.transforms.functional.resize(images.float() / 255, [size, size], antialias=True)
        expected = torchvision.transforms.functional.normalize(resized, list(facts.mean), list(facts.std))
        assert torch.allclose(EvaluationTransform(preprocessing, torch.device("cpu"))(images), expected, atol=1e-4)
