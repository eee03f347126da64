"""What a recipe can choose in the training loop: phases, averages, mixing, clipping, patience, precision."""

import io
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from orchestrator import plugins
from orchestrator.errors import InvalidInput
from orchestrator.recipe import Recipe
from tests.helpers.training_runs import asked, begin, digits_data, limit_micro_batch, run, same, weights

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


@pytest.mark.parametrize("done", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "choice",
    [
        pytest.param(HEAD_FIRST, marks=pytest.mark.slow),
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
        pytest.param({**HEAD_FIRST, "averaging": {"name": "swa", "start": 0.3}, "mixing": ["cutmix"]}, marks=pytest.mark.slow),
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


@pytest.mark.slow
def test_a_rate_that_fell_on_a_plateau_of_its_phase_has_fallen_after_a_resume_too() -> None:
    params: dict[str, Any] = {
        **HEAD_FIRST,
        "phases": [{"epochs": 4, "layers": "head", "rate": 2.0}, {"epochs": 5}],
        "schedule": {"name": "plateau", "patience": 1, "factor": 0.5},
        "learning_rate": 0.05,  # too much: the loss goes up and down
    }
    whole = begin("resnet", digits_data(), 9, **params)
    expected, states = [], {}
    for epochs in (1, 3, 3, 2):
        expected += run(whole, epochs)
        file = io.BytesIO()
        torch.save(whole.state_dict(), file)
        states[len(expected)] = file.getvalue()
    assert expected[3].lr < expected[0].lr
    assert expected[-1].lr < expected[4].lr
    for done in (1, 4, 7):
        resumed = begin("resnet", digits_data(), 9, **params)
        resumed.load_state_dict(torch.load(io.BytesIO(states[done]), weights_only=True))
        assert run(resumed, 9 - done) == expected[done:]


def test_parts_of_mixed_batches_are_resumed_exactly() -> None:
    params: dict[str, Any] = {"batch_size": 24, "mixing": ["mixup"], "averaging": "ema", "dropout": 0.3}
    whole, killed, resumed = trainings = [begin("cnn", digits_data(), 3, **params) for _ in range(3)]
    for training in trainings:
        limit_micro_batch(training, 7)
    expected = run(whole, 3)
    run(killed, 1)
    resumed.load_state_dict(killed.state_dict())
    assert run(resumed, 2) == expected[1:]


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
    names = [name for name, _ in parameters_of(clipped)]
    moved = math.sqrt(sum(float((weights(clipped)[name] - before[name]).square().sum()) for name in names))
    assert moved == pytest.approx(0.01, rel=1e-3)


def parameters_of(training: Any) -> list[tuple[str, torch.Tensor]]:
    return [(name, value) for name, value in weights(training).items() if "running" not in name and "num_batches" not in name]


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


@pytest.mark.slow
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
