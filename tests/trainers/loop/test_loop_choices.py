"""What a recipe can ask of the training loop besides: phases, averages, mixing, clipping, patience, the type of products."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import plugins
from orchestrator.errors import InvalidInput
from orchestrator.recipe import Recipe
from tests.helpers.training_runs import asked, begin, digits_data, limit_micro_batch, run, same, weights
from trainers.augmentation.mixing import CutMix, Mixer, MixUp
from trainers.loop.averaging import AveragedWeights, ExponentialAverage, StochasticAverage

HEAD_FIRST: dict[str, Any] = {
    "phases": [{"epochs": 1, "layers": "head", "rate": 2.0}, {"epochs": 2, "layers": "all"}],
    "batch_size": 24,
    "warmup": 0.0,
    "stem": "3x3",
}


def test_the_head_is_trained_alone_and_then_all_layers() -> None:
    training = begin("resnet", digits_data(), 3, **HEAD_FIRST)
    before = weights(training)
    training.epoch()
    after_head = weights(training)
    for name, value in before.items():
        assert torch.equal(after_head[name], value) != name.startswith("fc."), name
    training.epoch()
    moved = [name for name, value in weights(training).items() if not torch.equal(after_head[name], value)]
    assert {name.split(".")[0] for name in moved} >= {"conv1", "bn1", "layer1", "layer4", "fc"}


def test_every_phase_runs_through_the_schedule_at_its_own_rate() -> None:
    training = begin("resnet", digits_data(), 3, learning_rate=0.1, schedule={"name": "cosine", "per": "step"}, **HEAD_FIRST)
    half = 0.5 * (1 + math.cos(math.pi / 2))
    assert [training.epoch().lr for _ in range(3)] == pytest.approx(
        [0.2 * half, 0.1 * 0.5 * (1 + math.cos(math.pi / 4)), 0.1 * 0.5 * (1 + math.cos(3 * math.pi / 4))]
    )


@pytest.mark.parametrize("done", [1, 2])
@pytest.mark.parametrize(
    "choice",
    [
        HEAD_FIRST,
        {"averaging": {"name": "ema", "decay": 0.9}},
        {"averaging": {"name": "swa", "start": 0.3}},
        {"mixing": [{"name": "mixup", "probability": 0.5}, {"name": "cutmix", "probability": 0.5}]},
        {"clip": 0.1},
        {"precision": "bfloat16"},
        {"optimizer": "nadam", "learning_rate": 0.001},
        {"optimizer": "radam", "learning_rate": 0.001},
        {"optimizer": "adam", "learning_rate": 0.001},
        {"augmentation": ["trivial-augment", "noise", "erasing"]},
        {"patience": 1, "averaging": "ema"},
        {**HEAD_FIRST, "averaging": {"name": "swa", "start": 0.3}, "mixing": ["cutmix"]},
    ],
    ids=str,
)
def test_killed_and_resumed_is_the_same_run_whatever_it_chose(choice: dict[str, Any], done: int) -> None:
    trainer = "resnet" if "phases" in choice else "cnn"
    params = {"batch_size": 24, "dropout": 0.3, **choice}
    whole = begin(trainer, digits_data(), 3, **params)
    expected = run(whole, 3)
    killed = begin(trainer, digits_data(), 3, **params)
    run(killed, done)
    resumed = begin(trainer, digits_data(), 3, **params)
    resumed.load_state_dict(killed.state_dict())
    assert run(resumed, 3 - done) == expected[done:]
    assert same(weights(resumed), weights(whole))
    assert same(resumed.snapshot()["model"], whole.snapshot()["model"])


@pytest.mark.parametrize("done", [1, 4, 7])
def test_a_rate_that_fell_on_a_plateau_of_its_phase_has_fallen_after_a_resume_too(done: int) -> None:
    params: dict[str, Any] = {
        **HEAD_FIRST,
        "phases": [{"epochs": 4, "layers": "head", "rate": 2.0}, {"epochs": 5}],
        "schedule": {"name": "plateau", "patience": 1, "factor": 0.5},
        "learning_rate": 0.05,  # too much: the loss goes up and down
    }
    whole, killed, resumed = (begin("resnet", digits_data(), 9, **params) for _ in range(3))
    expected = run(whole, 9)
    assert expected[3].lr < expected[0].lr
    assert expected[-1].lr < expected[4].lr
    run(killed, done)
    resumed.load_state_dict(killed.state_dict())
    assert run(resumed, 9 - done) == expected[done:]


def test_parts_of_mixed_batches_go_on_as_they_were() -> None:
    params: dict[str, Any] = {"batch_size": 24, "mixing": ["mixup"], "averaging": "ema", "dropout": 0.3}
    whole, killed, resumed = trainings = [begin("cnn", digits_data(), 3, **params) for _ in range(3)]
    for training in trainings:
        limit_micro_batch(training, 7)
    expected = run(whole, 3)
    run(killed, 1)
    resumed.load_state_dict(killed.state_dict())
    assert run(resumed, 2) == expected[1:]


@pytest.mark.parametrize(
    ("trainer", "params", "message"),
    [
        ("resnet", {"phases": [{"epochs": 2}, {"epochs": 2}]}, "the phases have 4 epochs together, and the run has 5"),
        ("cnn", {"patience": 5}, "patience 5 can never end a run whose last 5 epochs are judged"),
        ("cnn", {"averaging": {"name": "swa", "start": 0.9}}, "begin after epoch 4 of 5, and be of one epoch at most"),
        ("cnn", {"schedule": {"name": "step", "every": 10, "factor": 0.5}}, "falls every 10 epochs, and there are 5"),
        ("cnn", {"schedule": {"name": "step", "every": 1}, "warmup": 0.5}, "it falls after 1 epochs, in the warm-up"),
        ("cnn", {"schedule": {"name": "multi-step", "at": [2, 4]}, "warmup": 0.5}, "it falls after 2 epochs, in the warm-up"),
        ("cnn", {"schedule": {"name": "cosine", "per": "epoch"}, "warmup": 0.8}, "all but the last are warm-up"),
        ("cnn", {"schedule": "one-cycle", "warmup": 0.0}, "it rises in the warm-up, and there is none"),
        ("cnn", {"phases": [{"epochs": 5}]}, "a single one of all layers at rate 1 is what happens without it"),
        ("cnn", {"augmentation": ["cutout"]}, "a cutout of 8 pixels could leave nothing of images of 8"),
        ("cnn", {"mixing": [{"name": "mixup", "probability": 0.7}, {"name": "cutmix", "probability": 0.7}]}, "add up to 1.4"),
        ("cnn", {"mixing": ["mix"]}, "there is no 'mix'; known are cutmix, mixup"),
        ("cnn", {"augmentation": ["rotate"]}, "there is no 'rotate'; known are aug-mix, blur, color-jitter, "),
        ("cnn", {"augmentation": [{"name": "random-resized-crop", "smallest": 1}]}, "leaves the image as it is"),
        (
            "cnn",
            {"resize": 16, "center_crop": 6, "augmentation": ["random-resized-crop", {"name": "cutout", "size": 7}]},
            "a cutout of 7 pixels could leave nothing of images of 6",
        ),
        ("resnet", {"stem": "stock", "batch_size": 1}, "the model does not learn from single images of 8×8 pixels"),
        ("cnn", {"momentum": 0.0}, "nesterov looks ahead along the momentum, which is 0: give it false"),
        ("cnn", {"optimizer": "lion"}, "there is no 'lion'; known are adam, adamw, nadam, radam, sgd"),
        ("cnn", {"schedule": "linear"}, "there is no 'linear'; known are constant, cosine, "),
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
    from trainers.loop.supervised import Supervised

    data = digits_data()
    headless = Supervised(build=build, hyperparameters=Hyperparameters)
    phases = [{"epochs": 1, "layers": "head"}, {"epochs": 4}]
    with pytest.raises(InvalidInput, match="no head that could be trained alone"):
        headless.check(asked("cnn", {"phases": phases}), data.info, data.folder)


def test_the_gradient_of_a_step_is_clipped_to_its_norm() -> None:
    params: dict[str, Any] = {
        "batch_size": 48,
        "momentum": 0.0,
        "optimizer": {"name": "sgd", "nesterov": False},
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup": 0.0,
        "learning_rate": 1.0,
    }
    clipped = begin("cnn", digits_data(), 1, clip=0.01, **params)
    before = weights(clipped)
    clipped.epoch()
    names = [name for name, _ in plugins_parameters(clipped)]
    moved = math.sqrt(sum(float((weights(clipped)[name] - before[name]).square().sum()) for name in names))
    assert moved == pytest.approx(0.01, rel=1e-3)


def plugins_parameters(training: Any) -> list[tuple[str, torch.Tensor]]:
    return [(name, value) for name, value in weights(training).items() if "running" not in name and "num_batches" not in name]


def test_an_exponential_average_follows_its_formula() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    average = AveragedWeights(model, ExponentialAverage(decay=0.9), epochs=1)
    values = [float(number) for number in range(200)]
    mean = values[0]
    for taken, value in enumerate(values):
        model.weight.data.fill_(value)
        average.stepped()
        if taken:
            decay = min(0.9, (1 + taken) / (10 + taken))
            mean = decay * mean + (1 - decay) * value
        assert float(average.model.state_dict()["weight"]) == pytest.approx(mean, rel=1e-4)


def test_a_stochastic_average_is_the_mean_of_the_last_epochs() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    average = AveragedWeights(model, StochasticAverage(start=0.5), epochs=10)
    for epoch in range(1, 11):
        model.weight.data.fill_(float(epoch))
        average.stepped()
        average.ended(epoch)
        assert average.begun == (epoch > 5)
    assert float(average.model.state_dict()["weight"]) == pytest.approx((6 + 7 + 8 + 9 + 10) / 5)


def test_what_is_validated_and_kept_is_the_average() -> None:
    data = digits_data()
    training = begin("cnn", data, 3, batch_size=12, averaging={"name": "ema", "decay": 0.9})
    epoch = run(training, 3)[-1]
    kept = training.snapshot()["model"]
    assert not same(kept, weights(training))
    predicted = plugins.trainer("cnn").restore(training.snapshot(), "cpu")(data.validation_images)
    assert float((predicted.argmax(1) == data.validation_labels).float().mean()) == pytest.approx(epoch.val_acc)
    chosen = predicted[torch.arange(len(predicted)), data.validation_labels]
    assert -chosen.log().mean().item() == pytest.approx(epoch.val_loss, rel=1e-5)


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


def test_patience_ends_a_run_early_and_says_so() -> None:
    training = begin("cnn", digits_data(), 30, batch_size=24, patience=3, learning_rate=0.02)
    accs = []
    while not training.capabilities.ended:
        accs.append(training.epoch().val_acc)
    assert len(accs) < 30
    best = accs.index(max(accs))
    assert len(accs) - 1 - best == 3
    with pytest.raises(ValueError, match=f"ends after {len(accs)} epochs"):
        training.epoch()


def test_patience_is_with_the_last_phase() -> None:
    phases = [{"epochs": 6, "layers": "head"}, {"epochs": 5}]
    params: dict[str, Any] = {"batch_size": 24, "warmup": 0.0, "learning_rate": 1e-6}  # nothing becomes better
    training = begin("resnet", digits_data(), 11, phases=phases, patience=2, **params)
    done = 0
    while not training.capabilities.ended:
        training.epoch()
        done += 1
    assert 6 + 2 < done <= 11
    data = digits_data()
    recipe = asked("resnet", {"phases": [{"epochs": 2, "layers": "head"}, {"epochs": 3}], "patience": 2})
    with pytest.raises(InvalidInput, match="patience 2 can never end a run whose last 3 epochs are judged by it"):
        plugins.trainer("resnet").check(recipe, data.info, data.folder)


@pytest.mark.parametrize("averaging", [None, {"name": "swa", "start": 0.5}])
def test_the_longest_patience_that_is_accepted_can_end_a_run(averaging: Any) -> None:
    judged = 8 if averaging is None else 4  # of 8 epochs
    # Nothing moves: neither weights nor BatchNorm's running figures.
    params: dict[str, Any] = {"blocks": [{"channels": 4, "batch_norm": False}], "warmup": 0.0, "learning_rate": 1e-30}
    params |= {"batch_size": 24, "averaging": averaging}
    data = digits_data()
    with pytest.raises(InvalidInput, match=f"whose last {judged} epochs are judged by it"):
        plugins.trainer("cnn").check(recipe_of(8, patience=judged - 1, **params), data.info, data.folder)
    plugins.trainer("cnn").check(recipe_of(8, patience=judged - 2, **params), data.info, data.folder)
    training = begin("cnn", data, 8, patience=judged - 2, **params)
    for done in range(1, 8):
        training.epoch()
        assert training.capabilities.ended == (done == 7)


def recipe_of(epochs: int, **params: Any) -> Recipe:
    return replace(asked("cnn", params), epochs=epochs)


def test_patience_waits_for_the_average_that_will_be_kept() -> None:
    params: dict[str, Any] = {"batch_size": 24, "warmup": 0.0, "learning_rate": 1e-6}
    training = begin("cnn", digits_data(), 12, averaging={"name": "swa", "start": 0.5}, patience=2, **params)
    done = 0
    while not training.capabilities.ended:
        training.epoch()
        done += 1
    assert 7 + 2 <= done <= 12  # the mean begins with the seventh epoch


def test_a_saved_model_predicts_although_its_training_would_not_be_allowed_any_more() -> None:
    training = begin("cnn", digits_data(), 1, batch_size=24)
    training.epoch()
    snapshot = training.snapshot()
    snapshot["params"] = {**snapshot["params"], "learning_rate": -1.0, "a setting of long ago": True}
    images = digits_data().validation_images
    expected = plugins.trainer("cnn").restore(training.snapshot(), "cpu")(images)
    assert torch.equal(plugins.trainer("cnn").restore(snapshot, "cpu")(images), expected)


def test_too_little_memory_for_a_state_is_not_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    training = begin("cnn", digits_data(), 2)
    training.epoch()
    state = training.state_dict()

    def short(*args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.nn.Module, "load_state_dict", short)
    with pytest.raises(torch.OutOfMemoryError):
        begin("cnn", digits_data(), 2).load_state_dict(state)


@pytest.mark.parametrize("params", [{"learning_rate": 0.0}, {"batch_size": 1, "mixing": ["mixup"]}])
def test_what_would_train_nothing_or_mix_nothing_is_refused(params: dict[str, Any]) -> None:
    data = digits_data()
    with pytest.raises(InvalidInput, match=r"train nothing|mix it with itself"):
        plugins.trainer("cnn").check(asked("cnn", params), data.info, data.folder)


def test_mixed_images_do_not_depend_on_micro_batches() -> None:
    params: dict[str, Any] = {
        "batch_size": 24,
        "mixing": ["mixup"],
        "blocks": [{"channels": 4, "batch_norm": False}],
        "hidden": [],
    }
    whole, parted = begin("cnn", digits_data(), 1, **params), begin("cnn", digits_data(), 1, **params)
    limit_micro_batch(parted, 6)
    assert parted.epoch().batch_losses == pytest.approx(whole.epoch().batch_losses, rel=1e-4)
