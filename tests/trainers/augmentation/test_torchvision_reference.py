"""Every operation on a batch is torchvision's on each of its images alone, given the same strength."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from trainers.augmentation import colour, geometry
from trainers.augmentation.aug_mix import RandomAugMix
from trainers.augmentation.jpeg import jpeg
from trainers.augmentation.noise_and_blur import RandomBlur
from trainers.augmentation.policy_layers import (
    ALL,
    AUG_MIX,
    Layer,
    Strengths,
    aug_mix_strengths,
    rand_augment_strengths,
    trivial_augment_strengths,
)
from trainers.augmentation.resized_crop import RandomResizedCrop
from trainers.loop.random_streams import generator, seeded

# Our names of torchvision's operations.
NAMES = {
    "identity": "Identity",
    "shear-x": "ShearX",
    "shear-y": "ShearY",
    "translate-x": "TranslateX",
    "translate-y": "TranslateY",
    "rotate": "Rotate",
    "brightness": "Brightness",
    "color": "Color",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "posterize": "Posterize",
    "solarize": "Solarize",
    "autocontrast": "AutoContrast",
    "equalize": "Equalize",
}


@pytest.fixture(params=["photographs", "grey", "odd"])
def images(request: pytest.FixtureRequest, photographs: torch.Tensor) -> torch.Tensor:
    """Real photographs; the same with one channel; and of an odd size."""
    kinds = {"photographs": photographs[:32], "grey": photographs[:32, :1], "odd": photographs[:32, :, 3:24, 5:26]}
    return kinds[request.param]


def agree(ours: torch.Tensor, theirs: torch.Tensor, *, equal: float, levels: int = 1) -> None:
    """At least this fraction of the values is equal, and the others differ by at most so many levels."""
    assert ours.dtype == theirs.dtype == torch.uint8
    assert ours.shape == theirs.shape
    differences = (ours.int() - theirs.int()).abs()
    assert differences.max() <= levels
    assert (differences == 0).float().mean() >= equal


FACTORS: list[tuple[Callable[..., torch.Tensor], Callable[..., Any], float, float]] = [
    (colour.brightness, functional.adjust_brightness, 0.0, 2.0),
    (colour.contrast, functional.adjust_contrast, 0.0, 2.0),
    (colour.saturation, functional.adjust_saturation, 0.0, 2.0),
    (colour.sharpness, functional.adjust_sharpness, 0.0, 2.0),
    (colour.hue, functional.adjust_hue, -0.5, 0.5),
    (colour.solarize, functional.solarize, 0.0, 255.0),
]


@pytest.mark.parametrize(("ours", "theirs", "low", "high"), FACTORS, ids=lambda value: getattr(value, "__name__", ""))
def test_colours_are_changed_as_by_torchvision(
    ours: Callable[..., torch.Tensor], theirs: Callable[..., Any], low: float, high: float, images: torch.Tensor
) -> None:
    strengths = torch.linspace(low, high, len(images))
    expected = torch.stack([theirs(image, strength) for image, strength in zip(images, strengths.tolist(), strict=True)])
    agree(ours(images, strengths), expected, equal=0.995)


def test_posterize_keeps_the_upper_bits(images: torch.Tensor) -> None:
    bits = torch.arange(len(images)) % 9
    expected = torch.stack([functional.posterize(image, int(kept)) for image, kept in zip(images, bits, strict=True)])
    assert torch.equal(colour.posterize(images, bits.float()), expected)


def test_factor_1_and_no_shift_of_the_hue_leave_every_colour() -> None:
    every = torch.cartesian_prod(*[torch.arange(0, 256, 5, dtype=torch.uint8)] * 3).T.reshape(1, 3, 52, -1)
    for adjust in (colour.brightness, colour.contrast, colour.saturation, colour.sharpness):
        agree(adjust(every, torch.ones(1)), every, equal=1.0)
    assert torch.equal(colour.hue(every, torch.zeros(1)), every)
    agree(colour.hue(every, torch.full((1,), 0.2)), functional.adjust_hue(every, 0.2), equal=0.99)


def test_rotations_are_torchvisions(images: torch.Tensor) -> None:
    degrees = torch.linspace(-180, 180, len(images))
    expected = torch.stack([functional.rotate(image, turn) for image, turn in zip(images, degrees.tolist(), strict=True)])
    ours = geometry.warp(images, geometry.rotations(degrees.double()).float(), "nearest")
    # A pixel's source may lie on the border of two: then either is the nearest.
    assert (ours == expected).float().mean() > 0.999


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_shears_and_shifts_are_torchvisions(interpolation: geometry.Interpolation, images: torch.Tensor) -> None:
    size = images.shape[-1]
    slopes = torch.linspace(-0.9, 0.9, len(images)).double()
    pixels = torch.linspace(-12, 12, len(images)).double()
    angles = slopes.atan().rad2deg().tolist()

    def affine(image: torch.Tensor, **settings: Any) -> torch.Tensor:
        still = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
        mode = v2.InterpolationMode(interpolation)
        moved: torch.Tensor = functional.affine(image, **{**still, **settings}, interpolation=mode)
        return moved

    expected: dict[str, list[torch.Tensor]] = {"shear x": [], "shear y": [], "shift x": [], "shift y": []}
    for image, angle, shift in zip(images, angles, pixels.tolist(), strict=True):
        expected["shear x"].append(affine(image, shear=[angle, 0.0], center=[0, 0]))
        expected["shear y"].append(affine(image, shear=[0.0, angle], center=[0, 0]))
        expected["shift x"].append(affine(image, translate=[int(shift), 0]))
        expected["shift y"].append(affine(image, translate=[0, int(shift)]))
    matrices = {
        "shear x": geometry.horizontal_shears(slopes, size),
        "shear y": geometry.vertical_shears(slopes, size),
        "shift x": geometry.horizontal_shifts(pixels),
        "shift y": geometry.vertical_shifts(pixels),
    }
    for name, matrix in matrices.items():
        ours = geometry.warp(images, matrix.float(), interpolation)
        differences = (ours.int() - torch.stack(expected[name]).int()).abs()
        if interpolation == "bilinear":
            assert differences.max() <= 1, name
        assert (differences == 0).float().mean() > 0.999, name


def test_blur_is_torchvisions(images: torch.Tensor) -> None:
    size = images.shape[-1]
    sigmas = torch.linspace(0.1, 1.9, len(images))
    blur = RandomBlur(probability=1.0, smallest=0.1, largest=1.9, size=size)
    ours = blur(images, {"happens": torch.ones(len(images), dtype=torch.int64), "sigma": sigmas})
    expected = torch.stack(
        [functional.gaussian_blur(image, [13, 13], sigma) for image, sigma in zip(images, sigmas.tolist(), strict=True)]
    )
    agree(ours, expected, equal=0.999)


@pytest.mark.parametrize("to", [10, 32, 96])
def test_resized_crops_are_torchvisions(to: int, images: torch.Tensor) -> None:
    size = images.shape[-1]
    operation = RandomResizedCrop(smallest=0.08, ratio=4 / 3, size=size, to=to)
    drawn = operation.draw(len(images), generator(0))
    boxes = torch.stack([drawn[name] for name in ("top", "left", "height", "width")], dim=1).tolist()
    resized = [functional.resized_crop(image.float(), *box, [to, to]) for image, box in zip(images, boxes, strict=True)]
    agree(operation(images, drawn), torch.stack(resized).round().to(torch.uint8), equal=0.999)


def test_jpeg_is_what_libjpeg_leaves(images: torch.Tensor) -> None:
    qualities = torch.linspace(1, 100, len(images)).long()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torchvision would have everybody install its successor
        expected = torch.stack(
            [functional.jpeg(image, quality) for image, quality in zip(images, qualities.tolist(), strict=True)]
        )
    differences = (jpeg(images, qualities).int() - expected.int()).abs().float()
    # libjpeg multiplies whole numbers by rounded constants: now and then a coefficient falls on the other side of a step.
    assert (differences == 0).float().mean() > 0.97
    assert (differences <= 1).float().mean() > 0.98
    assert differences.mean() < 0.1


def reference(kind: type[Any], name: str, strength: float, *, signed: bool, **settings: Any) -> Any:
    """Torchvision's policy with a single operation at a single strength; only the sign is still drawn."""
    policy = kind(**settings)
    levels = torch.full((64,), strength, dtype=torch.float64)
    policy._AUGMENTATION_SPACE = {NAMES[name]: (lambda bins, height, width: levels, signed)}
    return policy


POLICIES: list[tuple[Callable[[int], Strengths], type[Any]]] = [
    (rand_augment_strengths, v2.RandAugment),
    (lambda _: trivial_augment_strengths(), v2.TrivialAugmentWide),
    (aug_mix_strengths, v2.AugMix),
]


@pytest.mark.parametrize(("strengths", "kind"), POLICIES, ids=[kind.__name__ for _, kind in POLICIES])
def test_the_strengths_of_policies_are_torchvisions(strengths: Callable[[int], Strengths], kind: type[Any]) -> None:
    size = 32
    ours = strengths(size)
    space = kind()._AUGMENTATION_SPACE
    assert set(space) == {NAMES[name] for name in (AUG_MIX if kind is v2.AugMix else ALL)}
    layer = Layer(tuple(NAMES), ours, size=size, interpolation="nearest")
    for row, name in zip(layer._table, NAMES, strict=True):
        if NAMES[name] not in space:
            continue
        strengths_of, signed = space[NAMES[name]]
        theirs = strengths_of(ours.levels, size, size)
        assert bool(layer._signed[list(NAMES).index(name)]) == signed
        if theirs is not None:
            scale = 255 if name == "solarize" else 1
            assert torch.equal(row, theirs.double() * scale)


def both_signs(layer: Layer, number: int, strength: float, images: torch.Tensor) -> Iterator[torch.Tensor]:
    for sign in (1, -1):
        signed = torch.full((len(images),), sign * strength, dtype=torch.float64)
        yield layer(images, layer.described(torch.full((len(images),), number), signed))


@pytest.mark.parametrize("name", ALL)
def test_the_operations_of_policies_are_torchvisions(name: str, images: torch.Tensor) -> None:
    size = images.shape[-1]
    images = images[:6]
    number = ALL.index(name)
    for strengths in (rand_augment_strengths(size), trivial_augment_strengths()):
        layer = Layer(ALL, strengths, size=size, interpolation="nearest")
        signed = bool(layer._signed[number])
        for level in (0, 7, 18, 30):
            strength = float(layer._table[number, level])
            policy = reference(v2.RandAugment, name, strength / (255 if name == "solarize" else 1), signed=signed, num_ops=1)
            with seeded(level, torch.device("cpu")):
                expected = torch.stack([policy(image) for image in images])
            positive, negative = both_signs(layer, number, strength, images)
            for theirs, one, other in zip(expected, positive, negative, strict=True):
                different = min(float(((theirs.int() - ours.int()).abs() > 1).float().mean()) for ours in (one, other))
                # One level where a fraction was cut off just above or below a whole number; a neighbour where a moved pixel's
                # source is on the border of two.
                assert different < 0.002


@pytest.mark.parametrize("name", AUG_MIX)
def test_chains_are_mixed_as_by_torchvision(name: str, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    size, number = images.shape[-1], AUG_MIX.index(name)
    images = images[:6]
    layer = Layer(AUG_MIX, aug_mix_strengths(size), size=size, interpolation="bilinear")
    strength = float(layer._table[number, 2])
    signed = bool(layer._signed[number])
    policy = reference(
        v2.AugMix, name, strength / (255 if name == "solarize" else 1), signed=signed, mixture_width=1, chain_depth=1
    )
    weights = iter([torch.tensor([[0.4, 0.6]]), torch.tensor([[1.0]])] * len(images))
    monkeypatch.setattr(policy, "_sample_dirichlet", lambda parameters: next(weights))
    with seeded(0, torch.device("cpu")):
        expected = torch.stack([policy(image) for image in images])
    ours = RandomAugMix(severity=3, width=1, depth=1, alpha=1.0, size=size)
    outcomes = []
    for sign in (1, -1):
        operation = torch.full((len(images),), number)
        row = layer.described(operation, torch.full((len(images),), sign * strength, dtype=torch.float64))
        drawn = {f"0 {key}": value for key, value in row.items()} | {"weight": torch.tensor([[0.4, 0.6]]).expand(len(images), -1)}
        outcomes.append(ours(images, drawn))
    for theirs, one, other in zip(expected, *outcomes, strict=True):
        assert min((theirs.int() - outcome.int()).abs().max() for outcome in (one, other)) <= 1
