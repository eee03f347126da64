"""Every transform: what each image and epoch gets, in any order and on any device, and which images are refused."""

import dataclasses
import typing
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput
from tests.helpers.paths import ROOT
from tests.helpers.training_runs import begin, digits_data, run, same, weights
from trainers.augmentation import operation
from trainers.augmentation.aug_mix import AugMix
from trainers.augmentation.colour import ColorJitter
from trainers.augmentation.crop_and_flip import Crop, Flip
from trainers.augmentation.geometry import Rotation
from trainers.augmentation.jpeg import Jpeg
from trainers.augmentation.masks import Cutout, Erasing
from trainers.augmentation.noise_and_blur import GaussianBlur, GaussianNoise
from trainers.augmentation.pipeline import Pipeline
from trainers.augmentation.policies import RandAugment, TrivialAugment
from trainers.augmentation.resized_crop import ResizedCrop
from trainers.augmentation.transforms import Transform
from trainers.loop.random_streams import generator

MEAN = (0.51, 0.4, 0.31)


def pipeline(images: torch.Tensor, *transforms: Transform) -> Pipeline:
    return Pipeline(images, transforms, size=images.shape[-1], mean=(0.5,) * images.shape[1])


EVERY_TRANSFORM: tuple[Transform, ...] = (
    Crop(padding=2),
    Flip(),
    Rotation(degrees=30),
    ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    RandAugment(),
    TrivialAugment(),
    AugMix(),
    ResizedCrop(),
    Erasing(),
    Cutout(size=4),
    GaussianNoise(),
    GaussianBlur(),
    Jpeg(),
)


def pipeline_of(transform: Transform, photographs: torch.Tensor, channels: int) -> Pipeline:
    """For 32 images of 16 pixels, each of them there twice."""
    images = photographs[:16, :channels, 8:24, 8:24].repeat(2, 1, 1, 1)
    return Pipeline(images, (transform,), size=24, mean=(0.5,) * channels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("transform", EVERY_TRANSFORM, ids=lambda transform: str(transform.name))
def test_an_image_depends_on_its_own_draws_alone(transform: Transform, channels: int, photographs: torch.Tensor) -> None:
    augment = pipeline_of(transform, photographs, channels)
    draws = augment.draw(generator(3))
    batch = augment.batch(torch.arange(32), draws)
    size = 24 if transform.name == "random-resized-crop" else 16
    assert batch.shape == (32, channels, size, size)
    assert batch.dtype == torch.uint8
    assert torch.equal(augment.batch(torch.arange(32), augment.draw(generator(3))), batch)
    for indices in (torch.arange(16, 32), torch.randperm(32, generator=generator(0)), torch.tensor([5]), torch.tensor([9, 9, 2])):
        assert torch.equal(augment.batch(indices, draws), batch[indices])


@pytest.mark.parametrize("transform", EVERY_TRANSFORM, ids=lambda transform: str(transform.name))
def test_images_and_epochs_have_draws_of_their_own(transform: Transform, photographs: torch.Tensor) -> None:
    augment = pipeline_of(transform, photographs, 3)
    first, second = (augment.batch(torch.arange(32), augment.draw(generator(seed))) for seed in (1, 2))

    def changed(one: torch.Tensor, other: torch.Tensor) -> int:
        return int((one != other).flatten(1).any(dim=1).sum())

    assert changed(first[:16], first[16:]) >= 4  # the same images
    assert changed(first, second) >= 8


@pytest.mark.parametrize("transform", EVERY_TRANSFORM, ids=lambda transform: str(transform.name))
def test_the_images_themselves_stay_as_they_are(transform: Transform, photographs: torch.Tensor) -> None:
    images = photographs[:8].clone()
    operation_on = Pipeline(
        images, (Flip(probability=1.0), transform), size=32, mean=MEAN
    )  # the transform gets a batch of its own
    augment = Pipeline(images, (transform,), size=32, mean=MEAN)
    for one in (operation_on, augment):
        one.batch(torch.arange(8), one.draw(generator(0)))
    assert torch.equal(images, photographs[:8])


@pytest.mark.parametrize("transform", EVERY_TRANSFORM, ids=lambda transform: str(transform.name))
def test_devices_that_are_not_waited_for_give_the_same_images(
    transform: Transform, photographs: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    augment = pipeline_of(transform, photographs, 3)
    draws = augment.draw(generator(4))
    expected = augment.batch(torch.arange(32), draws)
    monkeypatch.setattr(operation, "choose_by_groups", operation.choose_by_masks)
    assert torch.equal(augment.batch(torch.arange(32), draws), expected)


@pytest.mark.parametrize("transform", EVERY_TRANSFORM, ids=lambda transform: str(transform.name))
def test_images_are_the_same_beside_a_model_in_half_precision(transform: Transform, photographs: torch.Tensor) -> None:
    augment = pipeline_of(transform, photographs, 3)
    draws = augment.draw(generator(4))
    expected = augment.batch(torch.arange(32), draws)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(augment.batch(torch.arange(32), draws), expected)


@settings(max_examples=25, deadline=None)
@given(
    transforms=st.lists(st.sampled_from(EVERY_TRANSFORM), max_size=5),
    channels=st.sampled_from([1, 3]),
    size=st.integers(5, 12),  # the cutout here is of 4 pixels
    to=st.integers(5, 12),
    seed=st.integers(0, 2**31 - 1),
)
def test_transforms_stand_in_any_order_on_images_of_any_size(
    transforms: list[Transform], channels: int, size: int, to: int, seed: int
) -> None:
    images = torch.randint(0, 256, (5, channels, size, size), dtype=torch.uint8, generator=generator(seed))
    augment = Pipeline(images, transforms, size=to, mean=(0.5,) * channels)
    indices = torch.tensor([4, 0, 0])
    draws = augment.draw(generator(seed))
    batch = augment.batch(indices, draws)
    expected = to if any(transform.name == "random-resized-crop" for transform in transforms) else size
    assert batch.dtype == torch.uint8
    assert batch.shape == (3, channels, expected, expected)
    assert torch.equal(batch[1], batch[2])
    assert torch.equal(augment.batch(indices[:2], draws), batch[:2])


def test_a_run_with_every_transform_is_resumed_to_the_last_bit() -> None:
    data = digits_data()
    params: dict[str, Any] = {"batch_size": 24, "augmentation": [dataclasses.asdict(transform) for transform in EVERY_TRANSFORM]}
    whole = begin("cnn", data, 3, **params)
    expected = run(whole, 3)
    killed = begin("cnn", data, 3, **params)
    killed.epoch()
    state = killed.state_dict()
    resumed = begin("cnn", data, 3, **params)
    resumed.load_state_dict(state)
    assert run(resumed, 2) == expected[1:]
    assert same(weights(resumed), weights(whole))
    assert run(begin("cnn", data, 3, seed=8, **params), 1) != expected[:1]


def test_every_transform_that_a_recipe_can_name_is_tested_here() -> None:
    assert {type(transform) for transform in EVERY_TRANSFORM} == set(typing.get_args(Transform))


def test_the_documentation_names_every_transform_with_its_defaults() -> None:
    page = (ROOT / "docs" / "augmentation.md").read_text()
    lines = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    transforms = [kind() if kind is not ColorJitter else ColorJitter(hue=0.1) for kind in typing.get_args(Transform)]
    assert set(lines) == {transform.name for transform in transforms}
    for transform in transforms:
        for field in dataclasses.fields(transform):
            if field.name != "name":
                default = f"{field.default:.4g}"
                assert f"`{field.name}` {default.removeprefix('0') or '0'}" in lines[transform.name], (transform.name, field.name)


def test_no_transforms_leave_the_images() -> None:
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8, generator=generator(0))
    augment = pipeline(images)
    indices = torch.tensor([3, 1])
    assert torch.equal(augment.batch(indices, augment.draw(generator(0))), images[indices])


@pytest.mark.parametrize(
    ("transform", "channels", "says"),
    [
        (ColorJitter(saturation=0.2, hue=0.1), 1, "does nothing to images of 1 channel"),
        (ColorJitter(brightness=0.2), 4, "images of 1 or 3 channels, and these have 4"),
        (RandAugment(), 2, "rand-augment is for images of 1 or 3 channels"),
        (Jpeg(), 4, "jpeg is for images of 1 or 3 channels"),
    ],
)
def test_transforms_that_cannot_act_on_such_images_are_refused(transform: Transform, channels: int, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        pipeline(torch.zeros(2, channels, 8, 8, dtype=torch.uint8), transform)


def test_what_is_erased_becomes_zero_when_it_is_normalised(photographs: torch.Tensor) -> None:
    for transform in (Erasing(probability=1.0), Cutout(size=12)):
        augment = Pipeline(photographs, (transform,), size=32, mean=MEAN)
        batch = augment.batch(torch.arange(64), augment.draw(generator(0)))
        colour = torch.tensor([round(255 * value) for value in MEAN], dtype=torch.uint8).view(3, 1, 1)
        changed = (batch != photographs).any(dim=1, keepdim=True).expand_as(batch)
        assert changed.any(dim=(1, 2, 3)).all()
        assert torch.equal(batch[changed], colour.expand_as(batch)[changed])
