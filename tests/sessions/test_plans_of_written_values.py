"""Plans whose choices may be written in several ways: resumed, refused, and blamed for the right setting."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator import plugins
from orchestrator.errors import BadData, InvalidInput, Mismatch, OrchestrateError
from orchestrator.hyperparameters import complete
from orchestrator.search.written_values import any_choices
from orchestrator.sessions.open_study import OpenedStudy, Request, open_study
from orchestrator.storage.runs import RunsFolder
from orchestrator.support.clock import SystemClock
from orchestrator.support.serialization import to_plain
from tests.helpers import wandb_files
from tests.helpers.in_process_cli import call
from tests.helpers.in_process_study import conduct, opened
from tests.helpers.paths import PLUGINS
from tests.helpers.published_copies import stock

PLAN = """
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from orchestrator.contracts import Baseline, StudyPlan
from orchestrator.recipe import Recipe
from orchestrator.record import Metric
from trainers.loop.optimizers import Sgd

DATASET = "digits"


def plan(dataset, info):
    recipe = Recipe(plan="mine", trainer="cnn", dataset=dataset, epochs=2, seed=0, params={params})
    return StudyPlan(recipe=recipe, space={space}, baselines={baselines}, metric=Metric(name={metric!r}),
                     epochs={epochs}, confirm_epochs={epochs}, retrain_epochs={retrain_epochs})
"""
NAMES = '{"optimizer": CategoricalDistribution(["sgd", {"name": "adam"}])}'
USUAL: Mapping[str, Any] = {
    "params": '{"schedule": "cosine"}',
    "space": NAMES,
    "baselines": '(Baseline(system="x", params={"optimizer": "adam"}),)',
    "metric": "val_acc",
    "epochs": 2,
    "retrain_epochs": 2,
}


def plan_file(folder: Path, **changes: Any) -> Path:
    file = folder / "mine.py"
    file.write_text(PLAN.format(**{**USUAL, **changes}))
    return file


def begin(folder: Path, **changes: Any) -> OpenedStudy:
    """The study of a plan with these changes, opened and validated."""
    return opened(folder, plan=str(plan_file(folder, **changes)), trials=2)


OTHERWISE = {
    "the recipe in full": {"params": '{"schedule": {"per": "step", "name": "cosine"}}'},
    "a choice as a mapping": {"space": NAMES.replace('"sgd"', '{"name": "sgd"}')},
    "a choice in full": {"space": NAMES.replace('"sgd"', '{"nesterov": True, "name": "sgd"}')},
    "a choice as an instance": {"space": NAMES.replace('"sgd"', "Sgd()")},
    "a choice by its name": {"space": NAMES.replace('{"name": "adam"}', '"adam"')},
    "a baseline in full": {"baselines": USUAL["baselines"].replace('"adam"', '{"name": "adam", "beta2": 0.999}')},
}


@pytest.mark.parametrize("change", OTHERWISE)
def test_a_plan_that_is_written_otherwise_is_the_same_plan(change: str, tmp_path: Path) -> None:
    study = begin(tmp_path)
    study.folder.write(study.file)
    again = begin(tmp_path, **OTHERWISE[change])
    assert to_plain(again.search.plan_content) == to_plain(study.search.plan_content)
    assert again.plan.space == study.plan.space


@pytest.mark.parametrize(
    "change",
    [
        {"space": NAMES.replace('"sgd"', '{"name": "sgd", "nesterov": False}')},
        {"space": NAMES.replace('["sgd", {"name": "adam"}]', '[{"name": "adam"}, "sgd"]')},
        {"params": '{"schedule": "constant"}'},
        {"params": '{"schedule": "cosine", "clip": 0}'},  # another version may have another default
    ],
)
def test_another_plan_is_still_refused(change: Mapping[str, Any], tmp_path: Path) -> None:
    study = begin(tmp_path)
    study.folder.write(study.file)
    with pytest.raises(Mismatch, match="was begun with another plan"):
        begin(tmp_path, **change)


# What a plan changes, the exit code of its refusal, and what the message says.
REFUSED: Mapping[str, tuple[Mapping[str, Any], int, tuple[str, ...]]] = {
    "one choice written twice": (
        {"space": NAMES.replace('{"name": "adam"}', '{"name": "sgd"}'), "baselines": "()"},
        2,
        ("optimizer has 2 choices that mean sgd", "leave one"),
    ),
    "one number twice": (
        {"space": '{"momentum": CategoricalDistribution([0.5, 1e-1, 0.5])}', "baselines": "()"},
        2,
        ("momentum has 2 choices that mean 0.5",),
    ),
    "a set as a choice": ({"space": NAMES.replace('"sgd"', "{1, 2}")}, 65, ("the range of optimizer has a choice", "recorded")),
    "a class as a choice": ({"space": NAMES.replace('"sgd"', "Sgd")}, 65, ("the range of optimizer has a choice", "recorded")),
    "a baseline that cannot be recorded": (
        {"baselines": '(Baseline(system="x", params={"optimizer": {1}}),)'},
        65,
        ("the baseline x cannot be recorded",),
    ),
    "a baseline outside the choices": (
        {"baselines": '(Baseline(system="x", params={"optimizer": {"name": "nadam"}}),)'},
        2,
        ('optimizer = {"name": "nadam"} of the baseline x is outside its range',),
    ),
    "a fixed setting that its trainer refuses": (
        {"params": '{"momentum": 0}', "space": '{"weight_decay": FloatDistribution(1e-5, 1e-2)}', "baselines": "()"},
        2,
        ("its trainer refuses the recipe: ", "'momentum' cannot be 0"),
    ),
    "one range that reaches too far": (
        {
            "space": '{"weight_decay": FloatDistribution(1e-5, 1e-2), "dropout": FloatDistribution(0, 1.5)}',
            "baselines": "()",
        },
        2,
        ("the range of dropout holds what its trainer refuses: ",),
    ),
    "two ranges that reach too far": (
        {
            "space": '{"dropout": FloatDistribution(-1, 0.5), "momentum": FloatDistribution(-1, 0.5)}',
            "baselines": "()",
        },
        2,
        ("the range of dropout holds what its trainer refuses: ", "'dropout' cannot be -1.0"),
    ),
    "two settings that do not go together": (
        {
            "params": '{"optimizer": "sgd"}',
            "space": '{"batch_size": IntDistribution(1, 64), "mixing": CategoricalDistribution([[], ["mixup"]])}',
            "baselines": "()",
        },
        2,
        ('its trainer refuses batch_size 1, mixing ["mixup"]: ', "mixing in batches of one image"),
    ),
    "a patience that can never act": (
        {"space": '{"patience": IntDistribution(0, 20)}', "baselines": "()", "epochs": 8, "retrain_epochs": 60},
        2,
        ("plan 'mine': patience 20: ", "can never end a run whose last 8 epochs"),
    ),
    "a patience that can never act at all": (
        {"space": '{"patience": IntDistribution(10, 20)}', "baselines": "()", "epochs": 8, "retrain_epochs": 60},
        2,
        ("plan 'mine': patience 10 can never end",),
    ),
    "batches of more images than there are": (
        {"space": '{"batch_size": CategoricalDistribution([32, 60000])}', "baselines": "()"},
        2,
        ("plan 'mine': batch_size 60000: ", "is more than the"),
    ),
    "a crop that leaves nothing": (
        {"space": '{"center_crop": IntDistribution(0, 6)}', "baselines": "()"},
        2,
        ("plan 'mine': center_crop 6: ", "single pixel"),
    ),
    "phases of which no retrain could be made": (
        {
            "space": '{"phases": CategoricalDistribution([[], [{"epochs": 1, "layers": "head"}, {"epochs": 1}]])}',
            "baselines": "()",
            "retrain_epochs": 3,
        },
        2,
        ('its retrains, phases [{"epochs": 1, "layers": "head"}, {"epochs": 1}]: ', "the run has 3"),
    ),
    "a schedule that no retrain could have": (
        {
            "params": "{}",
            "space": '{"schedule": CategoricalDistribution(["cosine", {"name": "step", "every": 4}])}',
            "baselines": "()",
            "epochs": 8,
            "retrain_epochs": 4,
        },
        2,
        ('its retrains, schedule {"name": "step", "every": 4}: ',),
    ),
    "a metric that is no figure": ({"metric": "batch_losses"}, 2, ("batch_losses is no figure",)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_plan_is_refused_for_the_setting_that_is_wrong(what: str, tmp_path: Path) -> None:
    changes, code, says = REFUSED[what]
    with pytest.raises(OrchestrateError) as refused:
        begin(tmp_path, **changes)
    assert refused.value.exit_code == code, refused.value
    for text in ("mine", *says):
        assert text in str(refused.value)
    assert not (tmp_path / "runs").exists()


def test_lists_and_mappings_may_be_choices_without_a_warning_of_optuna(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = begin(tmp_path)
        study.folder.write(study.file)
        begin(tmp_path)


def test_a_recorded_value_off_the_space_names_its_record(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)
    conduct(quick, 2)
    file = quick / "runs" / "curves" / "trials" / "0001" / "record.json"
    record = json.loads(file.read_text())
    for value in (1e9, "large", None, [1]):
        record["recipe"]["params"]["learning_rate"] = value
        file.write_text(json.dumps(record))
        with pytest.raises(BadData, match=r"curves/trials/0001 is outside the study's search space .*restore its record"):
            conduct(quick, 3)


def test_a_data_set_that_fails_is_blamed_and_no_plan_or_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "trainers" / "datasets"
    own.mkdir(parents=True)
    (own / "mine_alone.py").write_text(
        "from orchestrator.contracts import DataSetNames\n\n\nclass Broken:\n    names = DataSetNames()\n\n"
        "    def info(self, folder):\n        return 1 / 0\n\n\ndataset = Broken()\n"
    )
    monkeypatch.chdir(tmp_path)
    request = Request(plan=str(plan_file(tmp_path)), trials=1, dataset="mine_alone")
    with pytest.raises(BadData, match=r"data set 'mine_alone' failed: ZeroDivisionError: .*mine_alone.py, line 8"):
        open_study(request, RunsFolder(tmp_path / "runs"), None, SystemClock(), lambda line: None)


def test_a_trainer_whose_settings_have_no_default_may_be_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "trainers"
    own.mkdir()
    (own / "demanding.py").write_text(
        "from dataclasses import dataclass\n\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Hyperparameters:\n    rate: float\n\n\n"
        "class Demanding:\n    hyperparameters = (Hyperparameters,)\n\n"
        "    def check(self, recipe, info, data_folder):\n        pass\n\n\ntrainer = Demanding()\n"
    )
    monkeypatch.chdir(tmp_path)
    file = plan_file(tmp_path, params="{}", space='{"rate": FloatDistribution(0.1, 0.2)}', baselines="()")
    file.write_text(file.read_text().replace('trainer="cnn"', 'trainer="demanding"'))
    assert opened(tmp_path, plan=str(file), trials=1).plan.space
    file.write_text(file.read_text().replace('"rate"', '"rates"'))
    with pytest.raises(InvalidInput, match="unknown hyperparameter 'rates'; known: rate"):
        opened(tmp_path, plan=str(file), trials=1)


SHORT: Mapping[str, list[Any]] = {
    "optimizer": ["sgd", "adamw"],
    "schedule": [{"name": "cosine"}, {"name": "step", "every": 1}],
    "augmentation": [[], ["flip"]],
    "averaging": [None, "ema"],
    "mixing": [["mixup"], [{"name": "cutmix"}]],
    "blocks": [[{"channels": 8}], [{"channels": 8, "batch_norm": False}]],
}


@pytest.mark.slow
def test_a_study_over_short_forms_is_trained_resumed_and_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = ", ".join(f"{name!r}: CategoricalDistribution({choices!r})" for name, choices in SHORT.items())
    params = '{"batch_size": 64, "hidden": [], "warmup": 0}'
    file = plan_file(tmp_path, params=params, space=f"{{{space}}}", baselines="()")
    runs = tmp_path / "runs"
    words = ("--runs", runs, "--mirror", "offline", "--executor", "in-process")
    for trials in (1, 3):
        result = call(capsys, "study", file, "--trials", str(trials), *words)
        assert result.code == 0, result.messages
        assert "should be a tuple of" not in result.messages
        assert "mappingproxy" not in result.messages
    records = [json.loads(path.read_text()) for path in sorted(runs.glob("mine/trials/*/record.json"))]
    assert [record["status"] for record in records] == ["COMPLETE"] * 3
    with any_choices(), stock(runs, "mine") as copied:
        found = copied.trials
    for trial, record in zip(found, records, strict=True):
        for name, choices in SHORT.items():
            full = [to_plain(complete(plugins.trainer("cnn").hyperparameters, {name: choice})[name]) for choice in choices]
            assert trial.params[name] == choices[full.index(record["recipe"]["params"][name])]
        assert not any("outside the space" in attribute for attribute in trial.user_attrs)
    mirrored = [run.config["params"] for run in wandb_files.read_folder(runs / "mine").values()]
    assert sorted(map(json.dumps, mirrored)) == sorted(json.dumps(record["recipe"]["params"]) for record in records)
