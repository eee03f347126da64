"""What trainings and data sets offer beyond the required is one value each: nothing is switched off by a misspelt name."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator import plugins
from orchestrator.contracts import Capabilities, DataSetNames, MicroBatch
from orchestrator.errors import BadData
from orchestrator.hyperparameters import complete
from orchestrator.jobs import Failed, Finished, Job, Measured
from orchestrator.recipe import Recipe
from orchestrator.record import FailureKind, Metric
from orchestrator.storage.run_folder import RunFolder
from orchestrator.worker.runner import Runner
from tests.helpers.training_runs import digits_data

TRAINER = """
from dataclasses import dataclass
from orchestrator.contracts import Capabilities
from orchestrator.record import Epoch

@dataclass(frozen=True)
class Hyperparameters:
    batch_size: int = 8

class OwnTraining:
    done = 0
    {capabilities}

    def epoch(self):
        self.done += 1
        return Epoch(number=self.done, train_loss=1.0, train_acc=0.5, val_loss=1.0, val_acc=0.5, lr=0.1, seconds=0.0)

    def state_dict(self):
        return {{"done": self.done}}

    def load_state_dict(self, state):
        self.done = state["done"]

    def snapshot(self):
        return {{}}

class OwnTrainer:
    hyperparameters = (Hyperparameters,)

    def check(self, recipe, info, data_folder): ...

    def begin(self, recipe, data, device):
        return OwnTraining()

trainer = OwnTrainer()
"""


def own_trainer(folder: Path, name: str, capabilities: str, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe of a trainer that a user wrote below the working directory."""
    (folder / "trainers").mkdir()
    (folder / "trainers" / f"{name}.py").write_text(TRAINER.format(capabilities=capabilities))
    monkeypatch.chdir(folder)
    monkeypatch.setattr("trainers.__path__", [*__import__("trainers").__path__])  # without the folder after the test
    params = complete(plugins.trainer(name).hyperparameters, {})
    return Recipe(plan="test", trainer=name, dataset="digits", epochs=2, seed=7, params=params)


def job(folder: Path, recipe: Recipe) -> Job:
    run = RunFolder(folder / "run")
    run.path.mkdir()
    run.begin_attempt(1)
    return Job(run_id="run", attempt=1, recipe=recipe, metric=Metric(), until_epoch=2, folder=str(run.path))


@pytest.mark.parametrize(
    ("kind", "misspelt"),
    [
        (Capabilities, {"label_smothing": 0.1}),
        (Capabilities, {"end": True}),
        (DataSetNames, {"class_names": list}),
        (MicroBatch, {"images": 8, "limits": print}),
    ],
)
def test_a_misspelt_capability_is_an_error(kind: type, misspelt: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        kind(**misspelt)


def test_a_trainer_without_capabilities_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = own_trainer(tmp_path, "incapable", "capability = Capabilities()", monkeypatch)
    says = "trainer 'incapable': its training OwnTraining has no property `capabilities`."
    with pytest.raises(BadData, match=says):
        plugins.begin(recipe, digits_data(), "cpu")
    (failed,) = Runner(device="cpu", threads=1, data_folder=tmp_path).start(job(tmp_path, recipe))
    assert isinstance(failed, Failed)
    assert failed.failure.kind is FailureKind.DATA
    assert says in failed.failure.message


def test_the_defaults_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = own_trainer(tmp_path, "modest", "capabilities = Capabilities()", monkeypatch)
    runner = Runner(device="cpu", threads=1, data_folder=tmp_path)
    events = [*runner.start(job(tmp_path, recipe)), *runner.step(), *runner.step()]
    assert [event.epoch.number for event in events if isinstance(event, Measured)] == [1, 2]
    assert isinstance(events[-1], Finished)


def test_a_data_set_without_names_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trainers" / "datasets").mkdir(parents=True)
    (tmp_path / "trainers" / "datasets" / "nameless.py").write_text("class Nameless: ...\n\ndataset = Nameless()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trainers.datasets.__path__", [*__import__("trainers.datasets").datasets.__path__])
    with pytest.raises(BadData, match="data set 'nameless': its class Nameless has no property `names`"):
        plugins.dataset("nameless")
