"""The batched augmentation: what each image and epoch gets, and what images on their way to the model get besides."""

import dataclasses
import typing
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.contracts import DataSetInfo
from orchestrator.errors import InvalidInput
from tests.helpers.paths import ROOT
from tests.helpers.training_runs import begin, digits_data, run, same, weights
from trainers.augmentation import crop_and_flip as crop_and_flip_module
from trainers.augmentation import operation
from trainers.augmentation.crop_and_flip import RandomCrop, Windows
from trainers.augmentation.pipeline import Pipeline, suitable
from trainers.augmentation.steps import (
    AugMix,
    ColorJitter,
    Crop,
    Cutout,
    Erasing,
    Flip,
    GaussianBlur,
    GaussianNoise,
    Jpeg,
    RandAugment,
    RandomResizedCrop,
    Rotation,
    Step,
    TrivialAugment,
)
from trainers.loop.preprocessing import EvaluationTransform, ImageShape, Preprocessing, preprocessing
from trainers.loop.random_streams import generator

MEAN = (0.51, 0.4, 0.31)


def windows(image: torch.Tensor, padding: int, flip: bool) -> list[torch.Tensor]:
    """Every picture that may become of one image C×H×H."""
    size = image.shape[-1]
    padded = torch.nn.functional.pad(image, (padding,) * 4)
    crops = [padded[:, top : top + size, left : left + size] for top in range(2 * padding + 1) for left in range(2 * padding + 1)]
    return crops + [crop.flip(-1) for crop in crops if flip]


def pipeline(images: torch.Tensor, *steps: Step) -> Pipeline:
    return Pipeline(images, steps, size=images.shape[-1], mean=(0.5,) * images.shape[1])


def crop_and_flip(images: torch.Tensor, *, padding: int, flip: bool) -> Pipeline:
    return pipeline(images, *suitable(dataclasses.replace(info(), padding=padding, flip=flip)))


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
    (corner, flip), (next_corner, _) = (augment.draw(generator(seed)).steps for seed in (1, 2))
    expected = 20_000 / 9
    for offsets in (corner["top"], corner["left"]):
        # with 8 degrees of freedom 26.1 is exceeded once in a thousand times
        assert sum((int(seen) - expected) ** 2 / expected for seen in torch.bincount(offsets, minlength=9)) < 26.1
    assert abs(flip["mirrored"].float().mean().item() - 0.5) < 0.015
    pairs = torch.stack([corner["top"], corner["left"], flip["mirrored"].long()]).float()
    assert torch.corrcoef(pairs).triu(1).abs().max() < 0.03
    assert (corner["top"] == next_corner["top"]).float().mean() < 0.2


EVERY_STEP: tuple[Step, ...] = (
    Crop(padding=2),
    Flip(),
    Rotation(degrees=30),
    ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    RandAugment(),
    TrivialAugment(),
    AugMix(),
    RandomResizedCrop(),
    Erasing(),
    Cutout(size=4),
    GaussianNoise(),
    GaussianBlur(),
    Jpeg(),
)


def ready(step: Step, photographs: torch.Tensor, channels: int) -> Pipeline:
    """For 32 images of 16 pixels, each of them there twice."""
    images = photographs[:16, :channels, 8:24, 8:24].repeat(2, 1, 1, 1)
    return Pipeline(images, (step,), size=24, mean=(0.5,) * channels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("step", EVERY_STEP, ids=lambda step: str(step.name))
def test_an_image_depends_on_its_own_draws_alone(step: Step, channels: int, photographs: torch.Tensor) -> None:
    augment = ready(step, photographs, channels)
    draws = augment.draw(generator(3))
    batch = augment.batch(torch.arange(32), draws)
    size = 24 if step.name == "random-resized-crop" else 16
    assert batch.shape == (32, channels, size, size)
    assert batch.dtype == torch.uint8
    assert torch.equal(augment.batch(torch.arange(32), augment.draw(generator(3))), batch)
    for indices in (torch.arange(16, 32), torch.randperm(32, generator=generator(0)), torch.tensor([5]), torch.tensor([9, 9, 2])):
        assert torch.equal(augment.batch(indices, draws), batch[indices])


@pytest.mark.parametrize("step", EVERY_STEP, ids=lambda step: str(step.name))
def test_images_and_epochs_have_draws_of_their_own(step: Step, photographs: torch.Tensor) -> None:
    augment = ready(step, photographs, 3)
    first, second = (augment.batch(torch.arange(32), augment.draw(generator(seed))) for seed in (1, 2))

    def changed(one: torch.Tensor, other: torch.Tensor) -> int:
        return int((one != other).flatten(1).any(dim=1).sum())

    assert changed(first[:16], first[16:]) >= 4  # the same images
    assert changed(first, second) >= 8


@pytest.mark.parametrize("step", EVERY_STEP, ids=lambda step: str(step.name))
def test_the_images_themselves_stay_as_they_are(step: Step, photographs: torch.Tensor) -> None:
    images = photographs[:8].clone()
    operation_on = Pipeline(images, (Flip(probability=1.0), step), size=32, mean=MEAN)  # the step gets a batch of its own
    augment = Pipeline(images, (step,), size=32, mean=MEAN)
    for one in (operation_on, augment):
        one.batch(torch.arange(8), one.draw(generator(0)))
    assert torch.equal(images, photographs[:8])


@pytest.mark.parametrize("step", EVERY_STEP, ids=lambda step: str(step.name))
def test_devices_that_are_not_waited_for_give_the_same_images(
    step: Step, photographs: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    augment = ready(step, photographs, 3)
    draws = augment.draw(generator(4))
    expected = augment.batch(torch.arange(32), draws)
    monkeypatch.setattr(operation, "choose_by_groups", operation.choose_by_masks)
    assert torch.equal(augment.batch(torch.arange(32), draws), expected)


@pytest.mark.parametrize("step", EVERY_STEP, ids=lambda step: str(step.name))
def test_images_are_the_same_beside_a_model_in_half_precision(step: Step, photographs: torch.Tensor) -> None:
    augment = ready(step, photographs, 3)
    draws = augment.draw(generator(4))
    expected = augment.batch(torch.arange(32), draws)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(augment.batch(torch.arange(32), draws), expected)


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.sampled_from(EVERY_STEP), max_size=5),
    channels=st.sampled_from([1, 3]),
    size=st.integers(5, 12),  # the cutout here is of 4 pixels
    to=st.integers(5, 12),
    seed=st.integers(0, 2**31 - 1),
)
def test_steps_stand_in_any_order_on_images_of_any_size(steps: list[Step], channels: int, size: int, to: int, seed: int) -> None:
    images = torch.randint(0, 256, (5, channels, size, size), dtype=torch.uint8, generator=generator(seed))
    augment = Pipeline(images, steps, size=to, mean=(0.5,) * channels)
    indices = torch.tensor([4, 0, 0])
    draws = augment.draw(generator(seed))
    batch = augment.batch(indices, draws)
    expected = to if any(step.name == "random-resized-crop" for step in steps) else size
    assert batch.dtype == torch.uint8
    assert batch.shape == (3, channels, expected, expected)
    assert torch.equal(batch[1], batch[2])
    assert torch.equal(augment.batch(indices[:2], draws), batch[:2])


def test_a_run_with_every_step_is_resumed_to_the_last_bit() -> None:
    data = digits_data()
    params: dict[str, Any] = {"batch_size": 24, "augmentation": [dataclasses.asdict(step) for step in EVERY_STEP]}
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


def test_every_step_that_a_recipe_can_name_is_proved_here() -> None:
    assert {type(step) for step in EVERY_STEP} == set(typing.get_args(Step))


def test_the_documentation_names_every_step_with_its_defaults() -> None:
    page = (ROOT / "docs" / "augmentation.md").read_text()
    lines = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    steps = [kind() if kind is not ColorJitter else ColorJitter(hue=0.1) for kind in typing.get_args(Step)]
    assert set(lines) == {step.name for step in steps}
    for step in steps:
        for field in dataclasses.fields(step):
            if field.name != "name":
                default = f"{field.default:.4g}"
                assert f"`{field.name}` {default.removeprefix('0') or '0'}" in lines[step.name], (step.name, field.name)


def test_no_steps_leave_the_images() -> None:
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8, generator=generator(0))
    augment = pipeline(images)
    indices = torch.tensor([3, 1])
    assert torch.equal(augment.batch(indices, augment.draw(generator(0))), images[indices])


@pytest.mark.parametrize(
    ("step", "channels", "says"),
    [
        (ColorJitter(saturation=0.2, hue=0.1), 1, "does nothing to images of 1 channel"),
        (ColorJitter(brightness=0.2), 4, "images of 1 or 3 channels, and these have 4"),
        (RandAugment(), 2, "rand-augment is for images of 1 or 3 channels"),
        (Jpeg(), 4, "jpeg is for images of 1 or 3 channels"),
    ],
)
def test_steps_that_cannot_act_on_such_images_are_refused(step: Step, channels: int, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        pipeline(torch.zeros(2, channels, 8, 8, dtype=torch.uint8), step)


def test_what_is_erased_becomes_zero_when_it_is_normalised(photographs: torch.Tensor) -> None:
    for step in (Erasing(probability=1.0), Cutout(size=12)):
        augment = Pipeline(photographs, (step,), size=32, mean=MEAN)
        batch = augment.batch(torch.arange(64), augment.draw(generator(0)))
        colour = torch.tensor([round(255 * value) for value in MEAN], dtype=torch.uint8).view(3, 1, 1)
        changed = (batch != photographs).any(dim=1, keepdim=True).expand_as(batch)
        assert changed.any(dim=(1, 2, 3)).all()
        assert torch.equal(batch[changed], colour.expand_as(batch)[changed])


def info() -> DataSetInfo:
    return DataSetInfo(
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
    facts = info()
    for size in (8, 32):
        images = torch.randint(0, 256, (5, 3, size, size), dtype=torch.uint8, generator=generator(0))
        before = images.clone()
        shape = Preprocessing(mean=facts.mean, std=facts.std, stored=ImageShape(channels=3, size=size), resized=size, size=size)
        transform = EvaluationTransform(shape, torch.device("cpu"))
        expected = torchvision.transforms.functional.normalize(images.float() / 255, list(facts.mean), list(facts.std))
        assert torch.allclose(transform(images), expected, atol=1e-5)
        assert torch.equal(transform(images), transform(images))
        assert torch.equal(images, before)


def test_images_are_resized_on_the_way_to_the_model() -> None:
    facts = info()
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=generator(0))
    for size in (20, 4):
        shape = Preprocessing(mean=facts.mean, std=facts.std, stored=ImageShape(channels=3, size=8), resized=size, size=size)
        assert Preprocessing.from_plain(shape.to_plain()) == shape
        resized = torchvision.transforms.functional.resize(images.float() / 255, [size, size], antialias=True)
        expected = torchvision.transforms.functional.normalize(resized, list(facts.mean), list(facts.std))
        assert torch.allclose(EvaluationTransform(shape, torch.device("cpu"))(images), expected, atol=1e-4)


def test_the_middle_is_cut_out_as_torchvision_does() -> None:
    facts = info()
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=generator(0))
    shape = preprocessing(replace(facts, size=8), normalisation="imagenet", resize=20, center_crop=14)
    assert shape.size == 14
    found = EvaluationTransform(shape, torch.device("cpu"))(images)
    resized = torchvision.transforms.functional.resize(images.float() / 255, [20, 20], antialias=True)
    cropped = torchvision.transforms.functional.center_crop(resized, [14, 14])
    expected = torchvision.transforms.functional.normalize(cropped, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("resize", "center_crop", "message"),
    [
        (0, 8, "center_crop 8 cuts nothing off images of 8 pixels"),
        (16, 20, "center_crop 20 cuts nothing off images of 16 pixels"),
    ],
)
def test_a_crop_that_cuts_nothing_off_is_refused(resize: int, center_crop: int, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        preprocessing(replace(info(), size=8), normalisation="half", resize=resize, center_crop=center_crop)


def test_a_normalisation_of_other_channels_is_refused() -> None:
    with pytest.raises(InvalidInput, match="normalisation 'cifar' is for 3 channels, and the images have 1"):
        preprocessing(digits_data().info, normalisation="cifar", resize=0, center_crop=0)
