"""When memory is short a batch passes through the model in parts: the same gradient, and an epoch that died leaves no trace."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from orchestrator import plugins
from orchestrator.hyperparameters import complete
from orchestrator.jobs import Event, Failed, Finished, Job, Measured, Reduced
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch, FailureKind, Metric
from orchestrator.storage.run_folder import RunFolder
from orchestrator.worker.runner import Runner
from tests.helpers.in_process_study import without_time
from tests.helpers.paths import PLUGINS
from tests.helpers.training_runs import digits_data, limit_micro_batch, recipe, weights
from trainers.cnn import Hyperparameters
from trainers.loop.trainer import ImageShape, SupervisedTrainer


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


class Sized(torch.nn.Module):
    """A linear classifier that remembers how many images it was trained on at a time."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(inputs, classes))
        self.sizes: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.sizes.append(len(images))
        logits: torch.Tensor = self.layers(images)
        return logits


@pytest.mark.parametrize(
    ("batch", "limit", "parts"), [(12, 6, [6, 6]), (12, 5, [4, 4, 4]), (5, 2, [3, 2]), (3, 1, [3]), (12, 99, [12])]
)
def test_parts_add_up_to_the_batch_and_none_is_a_single_image(batch: int, limit: int, parts: list[int]) -> None:
    models: list[Sized] = []

    def build(hyperparameters: Hyperparameters, classes: int, image: ImageShape) -> torch.nn.Module:
        models.append(Sized(image.channels * image.size**2, classes))
        return models[-1]

    trainer = SupervisedTrainer(build=build, hyperparameters=Hyperparameters)
    data = digits_data(train=2 * batch)
    whole, divided = (trainer.begin(recipe("cnn", 2, batch_size=batch), data, "cpu") for _ in range(2))
    limit_micro_batch(divided, limit)
    one, other = whole.epoch(), divided.epoch()
    assert models[0].sizes == [batch] * 2
    assert models[1].sizes == parts * 2
    assert other.batch_losses == pytest.approx(one.batch_losses, rel=1e-6)
    assert other.train_acc == one.train_acc
    for name, tensor in weights(whole).items():
        assert torch.allclose(weights(divided)[name], tensor, rtol=0, atol=1e-6)


def job(folder: Path, name: str, *, fits: int = 16, after: int = 0, restores: bool = True, **changes: Any) -> Job:
    run = RunFolder(folder / name)
    run.path.mkdir()
    run.begin_attempt(1)
    params = {"batch_size": 64, "fits": fits, "after": after, "restores": restores}
    wanted = Recipe(
        plan="p",
        trainer="hungry",
        dataset="digits",
        epochs=3,
        seed=5,
        params=complete(plugins.trainer("hungry").hyperparameters, params),
    )
    made = Job(run_id="s/trials/0000", attempt=1, recipe=wanted, metric=Metric(), until_epoch=3, folder=str(run.path))
    return replace(made, **changes)


def carried_out(folder: Path, wanted: Job) -> list[Event]:
    runner = Runner(device="cpu", threads=1, data_folder=folder)
    events = list(runner.start(wanted))
    while runner.can_step:
        events += runner.step()
    return events


def epochs(events: Sequence[Event]) -> list[Epoch]:
    return [without_time(event.epoch) for event in events if isinstance(event, Measured)]


def test_what_ran_out_of_memory_ends_as_if_its_parts_had_been_small_all_along(tmp_path: Path) -> None:
    short = carried_out(tmp_path, job(tmp_path, "short"))
    assert [event.micro_batch for event in short if isinstance(event, Reduced)] == [32, 16]
    assert isinstance(short[-1], Finished)
    assert epochs(short) == epochs(carried_out(tmp_path, job(tmp_path, "known", micro_batch=16)))


def test_an_epoch_that_died_half_way_leaves_no_trace(tmp_path: Path) -> None:
    """The first epoch, of 19 batches, fits; the second ends in its sixth batch, after five steps of the optimiser."""
    plentiful = carried_out(tmp_path, job(tmp_path, "plentiful", fits=64))
    steps = len(epochs(plentiful)[0].batch_losses)
    short = carried_out(tmp_path, job(tmp_path, "short", after=steps + 5))
    assert [(event.epoch, event.micro_batch) for event in short if isinstance(event, Reduced)] == [(2, 32), (2, 16)]
    assert epochs(short)[0] == epochs(plentiful)[0]
    again = job(tmp_path, "again", fits=64, until_epoch=1, checkpoint_share=1e9)
    runner = Runner(device="cpu", threads=1, data_folder=tmp_path)
    events = [*runner.start(again), *runner.step()]
    RunFolder(Path(again.folder)).begin_attempt(2)
    events += runner.start(replace(again, attempt=2, until_epoch=3, resume=True, micro_batch=16))
    while runner.can_step:
        events += runner.step()
    assert epochs(short) == epochs(events)


@pytest.mark.slow
def test_what_does_not_fit_in_the_smallest_parts_fails(tmp_path: Path) -> None:
    events = carried_out(tmp_path, job(tmp_path, "divergence_reason", fits=1))
    assert [event.micro_batch for event in events if isinstance(event, Reduced)] == [32, 16, 8, 4, 2]
    failed = events[-1]
    assert isinstance(failed, Failed)
    assert (failed.failure.kind, failed.failure.error) == (FailureKind.OUT_OF_MEMORY, "OutOfMemoryError")


def test_memory_that_is_short_after_the_last_epoch_ends_the_run(tmp_path: Path) -> None:
    """Smaller parts train nothing that is trained already."""
    events = carried_out(tmp_path, job(tmp_path, "unpredictable", fits=64, restores=False, measure="test"))
    assert not any(isinstance(event, Reduced) for event in events)
    failed = events[-1]
    assert isinstance(failed, Failed)
    assert (failed.failure.kind, failed.failure.message) == (FailureKind.OUT_OF_MEMORY, "OutOfMemoryError: no room to predict")
