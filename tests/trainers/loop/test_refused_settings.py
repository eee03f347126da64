"""Settings that do not fit a run, or would never act in it, are refused before it begins."""

from typing import Any

import pytest

from orchestrator import plugins
from orchestrator.errors import InvalidInput
from tests.helpers.training_runs import asked, digits_data


@pytest.mark.parametrize(
    ("trainer", "params", "message"),
    [
        ("resnet", {"phases": [{"epochs": 2}, {"epochs": 2}]}, "the phases have 4 epochs together, and the run has 5"),
        ("cnn", {"patience": 5}, "patience 5 can never end a run whose last 5 epochs are judged"),
        ("cnn", {"averaging": {"name": "swa", "start": 0.9}}, "begin after epoch 4 of 5, and cover one epoch at most"),
        ("cnn", {"schedule": {"name": "step", "every": 10, "factor": 0.5}}, "falls every 10 epochs, and there are 5"),
        ("cnn", {"schedule": {"name": "step", "every": 1}, "warmup": 0.5}, "it falls after 1 epochs, in the warm-up"),
        ("cnn", {"schedule": {"name": "multi-step", "at": [2, 4]}, "warmup": 0.5}, "it falls after 2 epochs, in the warm-up"),
        ("cnn", {"schedule": {"name": "cosine", "per": "epoch"}, "warmup": 0.8}, "all but the last are warm-up"),
        ("cnn", {"schedule": "one-cycle", "warmup": 0.0}, "it rises in the warm-up, and there is none"),
        ("cnn", {"phases": [{"epochs": 5}]}, "a single phase of all layers at rate 1 changes nothing: leave it out"),
        ("cnn", {"augmentation": ["cutout"]}, "a cutout of 8 pixels could cover images of 8 pixels entirely"),
        ("cnn", {"mixing": [{"name": "mixup", "probability": 0.7}, {"name": "cutmix", "probability": 0.7}]}, "add up to 1.4"),
        ("cnn", {"mixing": ["mix"]}, "there is no 'mix'; known: cutmix, mixup"),
        ("cnn", {"augmentation": ["rotate"]}, "there is no 'rotate'; known: aug-mix, blur, color-jitter, "),
        ("cnn", {"augmentation": [{"name": "random-resized-crop", "smallest": 1}]}, "leaves the image as it is"),
        (
            "cnn",
            {"resize": 16, "center_crop": 6, "augmentation": ["random-resized-crop", {"name": "cutout", "size": 7}]},
            "a cutout of 7 pixels could cover images of 6 pixels entirely",
        ),
        ("resnet", {"stem": "stock", "batch_size": 1}, "the model does not learn from single images of 8×8 pixels"),
        ("cnn", {"momentum": 0.0}, "nesterov needs a momentum above 0: set it to false"),
        ("cnn", {"optimizer": "lion"}, "there is no 'lion'; known: adam, adamw, nadam, radam, sgd"),
        ("cnn", {"schedule": "linear"}, "there is no 'linear'; known: constant, cosine, "),
        ("cnn", {"normalisation": "cifar"}, "is for 3 channels"),
        ("cnn", {"precision": "float16"}, "auto, bfloat16, float32"),
    ],
)
def test_what_does_not_fit_or_would_never_act_is_refused_before_it_begins(
    trainer: str, params: dict[str, Any], message: str
) -> None:
    data = digits_data()
    with pytest.raises(InvalidInput, match=message):
        plugins.trainer(trainer).check(asked(trainer, params), data.info, data.folder)


def test_a_model_without_a_head_has_no_phase_of_its_head() -> None:
    from trainers.cnn import Hyperparameters, build
    from trainers.loop.trainer import SupervisedTrainer

    data = digits_data()
    headless = SupervisedTrainer(build=build, hyperparameters=Hyperparameters)
    phases = [{"epochs": 1, "layers": "head"}, {"epochs": 4}]
    with pytest.raises(InvalidInput, match="no head that could be trained alone"):
        headless.check(asked("cnn", {"phases": phases}), data.info, data.folder)


@pytest.mark.parametrize("params", [{"learning_rate": 0.0}, {"batch_size": 1, "mixing": ["mixup"]}])
def test_what_would_train_nothing_or_mix_nothing_is_refused(params: dict[str, Any]) -> None:
    data = digits_data()
    with pytest.raises(InvalidInput, match=r"train nothing|mix it with itself"):
        plugins.trainer("cnn").check(asked("cnn", params), data.info, data.folder)
