"""What happens to every image on its way to a model: normalisation, resizing and the crop of the middle."""

from dataclasses import replace

import pytest
import torch
import torchvision

from orchestrator.errors import InvalidInput
from tests.helpers.small_images import small_images_info
from tests.helpers.training_runs import digits_data
from trainers.loop.preprocessing import EvaluationTransform, ImageShape, Preprocessing, preprocessing
from trainers.loop.random_streams import generator


def test_the_evaluation_transform_only_normalises() -> None:
    facts = small_images_info()
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
    facts = small_images_info()
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=generator(0))
    for size in (20, 4):
        shape = Preprocessing(mean=facts.mean, std=facts.std, stored=ImageShape(channels=3, size=8), resized=size, size=size)
        assert Preprocessing.from_plain(shape.to_plain()) == shape
        resized = torchvision.transforms.functional.resize(images.float() / 255, [size, size], antialias=True)
        expected = torchvision.transforms.functional.normalize(resized, list(facts.mean), list(facts.std))
        assert torch.allclose(EvaluationTransform(shape, torch.device("cpu"))(images), expected, atol=1e-4)


def test_the_middle_is_cut_out_as_torchvision_does() -> None:
    facts = small_images_info()
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
        preprocessing(replace(small_images_info(), size=8), normalisation="half", resize=resize, center_crop=center_crop)


def test_a_normalisation_of_other_channels_is_refused() -> None:
    with pytest.raises(InvalidInput, match="normalisation 'cifar' is for 3 channels, and the images have 1"):
        preprocessing(digits_data().info, normalisation="cifar", resize=0, center_crop=0)
