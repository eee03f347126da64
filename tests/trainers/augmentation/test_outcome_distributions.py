"""What an augmentation makes of an image is as likely as with torchvision's transform of the same name, image by image."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from trainers.augmentation.aug_mix import AugMix
from trainers.augmentation.boxes import draw_boxes
from trainers.augmentation.colour import ColorJitter
from trainers.augmentation.crop_and_flip import Crop, Flip
from trainers.augmentation.geometry import Rotation
from trainers.augmentation.jpeg import Jpeg
from trainers.augmentation.masks import Cutout, Erasing
from trainers.augmentation.noise_and_blur import GaussianBlur, GaussianNoise
from trainers.augmentation.pipeline import Pipeline
from trainers.augmentation.policies import RandAugment, TrivialAugment
from trainers.augmentation.policy_layers import ALL, Layer, trivial_augment_strengths
from trainers.augmentation.resized_crop import ResizedCrop
from trainers.augmentation.transforms import Transform
from trainers.loop.random_streams import generator, seeded

COUNT = 500  # outcomes on each side


def largest_distance(count: int) -> float:
    """Two samples of so many from one distribution differ by more in one case of 100,000 (Kolmogorov-Smirnov)."""
    return 2.42 * math.sqrt(2 / count)


MEAN = (0.51, 0.4, 0.31)
FILL = (130, 102, 79)  # MEAN in levels


def erasing(probability: float, areas: tuple[float, float], ratio: float) -> Any:
    return v2.RandomErasing(p=probability, scale=areas, ratio=(1 / ratio, ratio), value=[float(level) for level in FILL])


def resized_crop(smallest: float, ratio: float) -> Callable[[torch.Tensor], torch.Tensor]:
    transform = v2.RandomResizedCrop(24, scale=(smallest, 1.0), ratio=(1 / ratio, ratio))

    def on_floats(image: torch.Tensor) -> torch.Tensor:
        # On bytes its weights are rounded, which makes a nearly white image a little darker.
        resized: torch.Tensor = transform(image.float())
        return resized.round().to(torch.uint8)

    return on_floats


def cutout(image: torch.Tensor) -> torch.Tensor:
    """As DeVries and Taylor describe it: a square whose centre is any pixel, cut off at the border."""
    size, side = image.shape[-1], 8
    y, x = (int(torch.randint(size, ())) for _ in range(2))
    covered = image.clone()
    rows = slice(max(y - side // 2, 0), y + side // 2)
    columns = slice(max(x - side // 2, 0), x + side // 2)
    covered[:, rows, columns] = torch.tensor(FILL, dtype=torch.uint8).view(3, 1, 1)
    return covered


def noise(image: torch.Tensor) -> torch.Tensor:
    sigma = 0.2 * float(torch.rand(()))
    noisy: torch.Tensor = v2.functional.gaussian_noise(image / 255, 0.0, sigma)
    return (noisy * 255).round().to(torch.uint8)


REFERENCES: list[tuple[Transform, Callable[[torch.Tensor], Any]]] = [
    (Crop(padding=6), v2.RandomCrop(32, padding=6)),
    (Flip(probability=0.3), v2.RandomHorizontalFlip(0.3)),
    (Rotation(degrees=40), v2.RandomRotation(40)),
    (Rotation(degrees=180), v2.RandomRotation(180)),
    (
        ColorJitter(brightness=0.4, contrast=0.3, saturation=0.5, hue=0.1),
        v2.ColorJitter(brightness=0.4, contrast=0.3, saturation=0.5, hue=0.1),
    ),
    (ColorJitter(hue=0.5), v2.ColorJitter(hue=0.5)),
    (ColorJitter(brightness=1.0), v2.ColorJitter(brightness=1.0)),
    (RandAugment(operations=2, magnitude=12), v2.RandAugment(2, 12)),
    (TrivialAugment(), v2.TrivialAugmentWide()),
    (RandAugment(operations=1, magnitude=30), v2.RandAugment(1, 30)),
    (AugMix(severity=4, alpha=0.8), v2.AugMix(severity=4, alpha=0.8)),
    (AugMix(severity=10, width=1, depth=2, alpha=0.2), v2.AugMix(10, mixture_width=1, chain_depth=2, alpha=0.2)),
    (ResizedCrop(smallest=0.1, ratio=1.5), resized_crop(0.1, 1.5)),
    (ResizedCrop(smallest=0.3, ratio=1.0), resized_crop(0.3, 1.0)),
    (Erasing(probability=0.7, smallest=0.05, largest=0.3, ratio=2.5), erasing(0.7, (0.05, 0.3), 2.5)),
    # Nearly no shape fits into the image: then nothing is erased.
    (Erasing(probability=1.0, smallest=0.8, largest=1.0, ratio=4.0), erasing(1.0, (0.8, 1.0), 4.0)),
    (Cutout(size=8), cutout),
    (GaussianNoise(probability=1.0, largest=0.2), noise),
    (
        GaussianBlur(probability=0.6, smallest=0.2, largest=2),
        v2.RandomApply([v2.GaussianBlur(13, (0.2, 2.0))], 0.6),
    ),
    (Jpeg(probability=0.6, worst=5, best=60), v2.RandomApply([v2.JPEG((5, 60))], 0.6)),
]


def features(images: torch.Tensor) -> dict[str, np.ndarray[Any, Any]]:
    """Numbers that tell brightness, colour, detail, position and what is black, of each of N×3×S×S images."""
    values = images.double()
    ramp = torch.linspace(-1, 1, images.shape[-1], dtype=torch.float64)
    found = {
        "mean": values.mean((1, 2, 3)),
        "deviation": values.flatten(1).std(1),
        "red against blue": (values[:, 0] - values[:, 2]).mean((1, 2)),
        "horizontal detail": values.diff(dim=3).abs().mean((1, 2, 3)),
        "vertical detail": values.diff(dim=2).abs().mean((1, 2, 3)),
        "left against right": (values * ramp).mean((1, 2, 3)),
        "top against bottom": (values * ramp.view(-1, 1)).mean((1, 2, 3)),
        "black": (values == 0).double().mean((1, 2, 3)),
        "one pixel": values[:, 1, 5, 9],
    }
    return {name: value.numpy() for name, value in found.items()}


def distance(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """The largest difference between two samples' distribution functions (Kolmogorov-Smirnov)."""
    # Where both have the same value up to rounding, it must not count which side rounded down.
    one, other = one.round(1), other.round(1)
    values = np.concatenate([one, other])
    below = [np.searchsorted(np.sort(sample), values, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(below[0] - below[1]).max())


def outcomes(image: torch.Tensor, transform: Transform, count: int, seed: int) -> torch.Tensor:
    augment = Pipeline(image.expand(count, -1, -1, -1), [transform], size=24, mean=MEAN)
    return augment.batch(torch.arange(count), augment.draw(generator(seed)))


def compare(transform: Transform, reference: Callable[[torch.Tensor], Any], image: torch.Tensor, count: int) -> None:
    ours = outcomes(image, transform, count, seed=1)
    with seeded(2, torch.device("cpu")), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torchvision's JPEG
        theirs = torch.stack([reference(image) for _ in range(count)])
    assert ours.shape == theirs.shape
    expected = features(theirs)
    distances = {name: distance(values, expected[name]) for name, values in features(ours).items()}
    assert max(distances.values()) < largest_distance(count), distances


NAMED = pytest.mark.parametrize(
    ("transform", "reference"), REFERENCES, ids=[f"{transform.name} {number}" for number, (transform, _) in enumerate(REFERENCES)]
)


@pytest.mark.slow
@NAMED
def test_outcomes_are_as_likely_as_with_torchvision(
    transform: Transform, reference: Callable[[torch.Tensor], Any], photographs: torch.Tensor
) -> None:
    compare(transform, reference, photographs[7], COUNT)


@pytest.mark.slow
@NAMED
def test_many_outcomes_are_as_likely_as_with_torchvision(
    transform: Transform, reference: Callable[[torch.Tensor], Any], photographs: torch.Tensor
) -> None:
    compare(transform, reference, photographs[13], 4_000)


def test_the_comparison_sees_a_wrong_strength(photographs: torch.Tensor) -> None:
    image = photographs[7]

    def differ(one: Transform, other: Transform) -> bool:
        expected = features(outcomes(image, other, COUNT, seed=2))
        found = features(outcomes(image, one, COUNT, seed=1))
        return max(distance(values, expected[name]) for name, values in found.items()) > largest_distance(COUNT)

    assert differ(Rotation(degrees=40), Rotation(degrees=30))
    assert differ(ColorJitter(brightness=0.4), ColorJitter(brightness=0.3))
    assert differ(RandAugment(magnitude=12), RandAugment(magnitude=20))
    assert differ(GaussianBlur(largest=1.0), GaussianBlur(largest=1.4))
    assert differ(Jpeg(probability=1.0, worst=5, best=60), Jpeg(probability=1.0, worst=15, best=60))


def test_every_operation_and_sign_of_a_policy_is_as_frequent() -> None:
    layer = Layer(ALL, trivial_augment_strengths(), size=32, interpolation="nearest")
    count = 28_000
    drawn = layer.draw(torch.full((count,), 30), generator(0))
    # One of the five moves is "kind" 1; the identity is 0; every other one of the fourteen has a number of its own.
    seen = torch.bincount(drawn["kind"], minlength=10).double()
    expected = torch.full((10,), count / 14, dtype=torch.float64)
    expected[1] *= 5
    # Pearson's chi-squared with 9 degrees of freedom exceeds 33.7 once in 10,000 times.
    assert ((seen - expected) ** 2 / expected).sum() < 33.7
    brighter = drawn["value"][drawn["kind"] == 2] > 1
    assert abs(brighter.float().mean() - 0.5) < 0.04


def test_a_resized_crop_that_cannot_be_is_the_whole_image() -> None:
    images = torch.zeros(200, 3, 32, 32, dtype=torch.uint8)
    augment = Pipeline(images, [ResizedCrop(smallest=0.9999, ratio=4.0)], size=8, mean=MEAN)
    (drawn,) = augment.draw(generator(0)).transforms
    assert {name: set(values.tolist()) for name, values in drawn.items()} == {
        "top": {0},
        "left": {0},
        "height": {32},
        "width": {32},
    }


@settings(max_examples=50, deadline=None)
@given(
    size=st.integers(4, 64),
    smaller=st.integers(0, 1),
    areas=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)),
    ratio=st.floats(1, 10),
    seed=st.integers(0, 2**31 - 1),
)
def test_boxes_lie_in_the_image(size: int, smaller: int, areas: tuple[float, float], ratio: float, seed: int) -> None:
    low, high = sorted(areas)
    largest = size - smaller
    boxes = draw_boxes(40, size=size, largest=largest, areas=(low, high), ratio=ratio, generator=generator(seed))
    for corner, length in ((boxes.top, boxes.height), (boxes.left, boxes.width)):
        assert (corner >= 0).all()
        assert (corner + length <= size).all()
        assert (length <= largest).all()
        assert torch.equal(length > 0, boxes.found)
    area, shape = (boxes.height * boxes.width)[boxes.found], (boxes.height / boxes.width)[boxes.found]
    # Sides are rounded to whole pixels.
    longest = boxes.height.maximum(boxes.width)[boxes.found]
    assert ((area - size**2 * high) <= longest + 1).all()
    assert ((size**2 * low - area) <= longest + 1).all()
    smallest = boxes.height.minimum(boxes.width)[boxes.found]
    assert (torch.maximum(shape, 1 / shape) <= ratio * (1 + 0.5 / smallest) / (1 - 0.5 / (smallest + 1)) + 1e-3).all()


def test_every_order_of_color_jitter_is_drawn() -> None:
    augment = Pipeline(
        torch.zeros(12_000, 3, 4, 4, dtype=torch.uint8),
        [ColorJitter(brightness=0.1, contrast=0.1, saturation=0.1, hue=0.1)],
        size=4,
        mean=MEAN,
    )
    (drawn,) = augment.draw(generator(0)).transforms
    orders = torch.unique(drawn["order"], dim=0, return_counts=True)[1].double()
    assert len(orders) == 24
    # Pearson's chi-squared with 23 degrees of freedom exceeds 55.5 once in 10,000 times.
    assert ((orders - 500) ** 2 / 500).sum() < 55.5


def test_noise_is_normal_and_independent_of_the_place() -> None:
    grey = torch.full((64, 3, 32, 32), 128, dtype=torch.uint8)
    augment = Pipeline(grey, [GaussianNoise(probability=1.0, largest=0.1)], size=32, mean=MEAN)
    draws = augment.draw(generator(0))
    noisy = (augment.batch(torch.arange(64), draws).double() - 128) / draws.transforms[0]["deviation"].double().view(-1, 1, 1, 1)
    strong = noisy[draws.transforms[0]["deviation"] > 10]
    assert abs(strong.mean()) < 0.01
    assert abs(strong.std() - 1) < 0.01
    assert abs((strong.abs() < 1).double().mean() - 0.6827) < 0.02
    neighbours = (strong[..., 1:] * strong[..., :-1]).mean()
    channels = (strong[:, 1] * strong[:, 0]).mean()
    assert max(abs(neighbours), abs(channels)) < 0.02
