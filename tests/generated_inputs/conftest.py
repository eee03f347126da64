"""A working directory with plug-ins, data and finished runs, which the tests of this folder share and leave as it was."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from orchestrator.recipe import Recipe
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.serialization import to_plain
from tests.generated_inputs.plug_ins import DATASET, DATASET_FILE, PLAN, PLAN_FILE
from tests.helpers.in_process_cli import exit_code
from tests.helpers.in_process_study import conduct
from tests.helpers.paths import PLUGINS

QUIET = ("--mirror", "off", "--executor", "in-process")


@dataclass(frozen=True, kw_only=True)
class World:
    """The folders of the working directory."""

    folder: Path
    retrained: str = ""  # the name of the retrain of the best trial

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def study(self) -> StudyFolder:
        """Four trials, one of which failed."""
        return RunsFolder(self.runs).known(PLAN)

    @property
    def retrain(self) -> Path:
        """The folder of the retrain of the best of them, with its submission."""
        return self.study.path / "retrain" / self.retrained

    @property
    def recipe(self) -> Path:
        """A recipe file, of a run that can be trained on these data."""
        return self.folder / "recipe.json"


def arrays() -> dict[str, np.ndarray]:
    """What the data set reads: uint8 N×1×8×8, and labels 0 to 9."""
    draw = np.random.default_rng(0)
    return {
        "train_images": draw.integers(0, 256, (60, 1, 8, 8), dtype=np.uint8),
        "train_labels": np.arange(60) % 10,
        "test_images": draw.integers(0, 256, (20, 1, 8, 8), dtype=np.uint8),
        "test_labels": np.arange(20) % 10,
    }


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(folder=tmp_path_factory.mktemp("generated") / "here")
    shutil.copytree(PLUGINS, world.folder, ignore=shutil.ignore_patterns("__pycache__"))
    (world.folder / "trainers" / "datasets").mkdir()
    (world.folder / "trainers" / "datasets" / f"{DATASET}.py").write_text(DATASET_FILE)
    (world.folder / "search_spaces" / f"{PLAN}.py").write_text(PLAN_FILE)
    world.data.mkdir()
    np.savez(world.data / "arrays.npz", **arrays())  # type: ignore[arg-type]  # any name may be that of an option
    recipe = Recipe(plan="mine", trainer="curve", dataset=DATASET, epochs=2, seed=3, params={"learning_rate": 0.03})
    world.recipe.write_text(json.dumps(to_plain(recipe)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        _keep_places(patch)
        patch.chdir(world.folder)
        conduct(world.folder, 4, plan=PLAN, fixed={2: {"misbehaviour": "diverge", "at_epoch": 1}})
        for words in (["train", world.recipe], ["retrain-best", PLAN]):
            assert exit_code(*words, "--runs", world.runs, "--data-dir", world.data, *QUIET) == 0
    (retrain,) = (world.study.path / "retrain").iterdir()
    return replace(world, retrained=retrain.name)


def _keep_places(patch: pytest.MonkeyPatch) -> None:
    """Let other tests find no plug-ins of this working directory."""
    for name in ("trainers", "trainers.datasets", "search_spaces", "search_spaces.reference_systems", "reports"):
        module = __import__(name, fromlist=["__path__"])
        patch.setattr(module, "__path__", [*module.__path__])


@pytest.fixture
def world(made: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The working directory, and no variable that says otherwise."""
    for name in ("ORCHESTRATE_STORAGE", "RAY_ADDRESS", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no proxy listens there: nothing is downloaded
    _keep_places(monkeypatch)
    monkeypatch.chdir(made.folder)
    return made
