"""What only a GPU can show of the training loop. test_waits_for_the_device.py shows the rest on any machine."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from orchestrator import plugins
from orchestrator.contracts import Data, Training
from tests.helpers.training_runs import moved, random_data, recipe, run, same, weights
from trainers.augmentation.aug_mix import AugMix
from trainers.augmentation.crop_and_flip import Crop, Flip
from trainers.augmentation.geometry import Rotation
from trainers.augmentation.jpeg import Jpeg
from trainers.augmentation.pipeline import Pipeline
from trainers.augmentation.policies import RandAugment, TrivialAugment

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")

FAMILIES = ("cnn", "resnet", "efficientnet", "convnext")


def data_on(device: str, images: int = 64) -> Data:
    return moved(random_data(plugins.dataset("cifar100").info(Path("nowhere")), images, 32), device)


def begin(name: str, device: str = "cuda", images: int = 64, precision: str = "auto", epochs: int = 3) -> Training:
    asked = recipe(name, epochs, batch_size=16, precision=precision)
    return plugins.trainer(name).begin(asked, data_on(device, images), device)


@pytest.fixture
def _watched() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("warn")
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_numbers_again_and_after_a_resume(name: str) -> None:
    whole, killed, resumed = begin(name), begin(name), begin(name)
    expected = run(whole, 3)
    assert run(killed, 1) == expected[:1]
    resumed.load_state_dict(killed.state_dict())
    assert run(resumed, 2) == expected[1:]
    assert same(weights(resumed), weights(whole))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_first_losses_are_those_of_the_cpu(name: str) -> None:
    there, here = (begin(name, device, precision="float32").epoch().batch_losses for device in ("cuda", "cpu"))
    assert there[0] == pytest.approx(here[0], rel=1e-3)


@pytest.mark.usefixtures("_watched")
@pytest.mark.parametrize("name", FAMILIES)
def test_more_steps_do_not_wait_more_often(name: str) -> None:
    counts = []
    for images in (32, 32, 160):  # the first one warms up
        training = begin(name, images=images)
        with warnings.catch_warnings(record=True) as waited:
            warnings.simplefilter("always")
            training.epoch()
        counts.append(len(waited))
    assert counts[1] == counts[2]


def test_images_are_augmented_as_on_the_cpu() -> None:
    transforms = (
        Crop(padding=4),
        Flip(),
        Rotation(degrees=15.0),
        RandAugment(),
        TrivialAugment(),
        AugMix(),
        Jpeg(probability=0.5),
    )
    for transform in transforms:
        batches = []
        for device in ("cpu", "cuda"):
            pipeline = Pipeline(data_on(device).train_images, [transform], size=32, mean=(0.5, 0.5, 0.5))
            draws = pipeline.draw(torch.Generator().manual_seed(3))
            batches.append(pipeline.batch(torch.arange(64, device=device), draws).cpu().int())
        close = (batches[0] - batches[1]).abs() <= 1
        assert close.float().mean() > 0.999, transform
