"""A plug-in that breaks a promise fails the conformance suite of its kind."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from orchestrator import plugins
from orchestrator.contracts import Data, DataSetInfo, Frames, Labelled, StudyPlan
from orchestrator.executors.in_process import InProcess
from orchestrator.jobs import Began, Event
from orchestrator.recipe import Recipe
from orchestrator.scheduling.base import Curve, Decision
from orchestrator.scheduling.promotion import Promotion
from orchestrator.testing.dataset import DataSetConformance
from orchestrator.testing.executor import ExecutorConformance, with_prescribed_trainer
from orchestrator.testing.observer import ObserverConformance
from orchestrator.testing.plan import PlanConformance
from orchestrator.testing.report import ReportConformance, example
from orchestrator.testing.scheduler import SchedulerConformance
from orchestrator.testing.trainer import TrainerConformance
from orchestrator.testing.training_runs import digits_data


class Wrapper:
    """Does what its inner object does, but for what a subclass breaks."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Unseeded(Wrapper):
    def begin(self, recipe: Recipe, data: Data, device: str) -> Any:
        return self.inner.begin(dataclasses.replace(recipe, seed=1), data, device)


class Disturbing(Wrapper):
    def begin(self, recipe: Recipe, data: Data, device: str) -> Any:
        torch.rand(1)
        return self.inner.begin(recipe, data, device)


class Forgetful(Wrapper):
    class Training(Wrapper):
        def load_state_dict(self, state: Mapping[str, Any]) -> None:
            pass

    def begin(self, recipe: Recipe, data: Data, device: str) -> Any:
        return self.Training(self.inner.begin(recipe, data, device))


class Permissive(Wrapper):
    def check(self, recipe: Recipe, info: DataSetInfo, data_folder: Path) -> None:
        pass


class MyTrainer(TrainerConformance):
    trainer = "mine"


@pytest.fixture
def data() -> Data:
    return digits_data()


def broken_trainer(monkeypatch: pytest.MonkeyPatch, kind: type[Wrapper]) -> MyTrainer:
    inner = plugins.trainer("cnn")
    monkeypatch.setattr(plugins, "trainer", lambda name: kind(inner))
    return MyTrainer()


def test_a_trainer_that_ignores_its_seed(monkeypatch: pytest.MonkeyPatch, data: Data) -> None:
    suite = broken_trainer(monkeypatch, Unseeded)
    with pytest.raises(AssertionError):
        suite.test_the_seed_matters(data)


def test_a_trainer_that_draws_from_the_global_stream(monkeypatch: pytest.MonkeyPatch, data: Data) -> None:
    suite = broken_trainer(monkeypatch, Disturbing)
    with pytest.raises(AssertionError):
        suite.test_runs_in_one_process_neither_hear_of_each_other_nor_change_anything(data)


def test_a_trainer_that_does_not_resume(monkeypatch: pytest.MonkeyPatch, data: Data) -> None:
    suite = broken_trainer(monkeypatch, Forgetful)
    with pytest.raises(AssertionError):
        suite.test_killed_and_resumed_is_the_same_run_to_the_last_bit("sgd", data)
    with pytest.raises(pytest.fail.Exception, match="BadData"):
        suite.test_what_is_no_state_or_snapshot_is_bad_data(data)


def test_a_trainer_that_takes_any_params(monkeypatch: pytest.MonkeyPatch, data: Data, tmp_path: Path) -> None:
    suite = broken_trainer(monkeypatch, Permissive)
    with pytest.raises(pytest.fail.Exception, match="UnknownName"):
        suite.test_unknown_and_impossible_params_are_refused(data, tmp_path)


class Floating(Wrapper):
    def load(self, folder: Path, part: Any) -> Labelled:
        found = self.inner.load(folder, part)
        return Labelled(images=found.images / 255, labels=found.labels)


class MyDataSet(DataSetConformance):
    dataset = "mine"
    shares = (0.7, 0.1, 0.1)


def test_a_data_set_of_another_type(tmp_path: Path) -> None:
    source: Any = Floating(plugins.dataset("digits"))
    with pytest.raises(AssertionError):
        MyDataSet().test_images_are_as_the_facts_say(source, tmp_path, source.info(tmp_path))


def test_a_data_set_whose_facts_are_wrong(tmp_path: Path) -> None:
    source = plugins.dataset("digits")
    facts = dataclasses.replace(source.info(tmp_path), mean=(0.5,), batch_sizes=(512,))
    with pytest.raises(AssertionError):
        MyDataSet().test_statistics_are_those_of_the_training_images(source, tmp_path, facts)
    with pytest.raises(AssertionError):
        MyDataSet().test_the_split_leaves_every_batch_size_enough_steps(source, tmp_path, facts)


class MyPlan(PlanConformance):
    plan = "part2"


@pytest.fixture
def made(tmp_path: Path) -> StudyPlan:
    return plugins.plan("part2")[2]("digits", plugins.dataset("digits").info(tmp_path))


def test_a_plan_that_fixes_what_it_samples(made: StudyPlan) -> None:
    recipe = dataclasses.replace(made.recipe, params={**made.recipe.params, "batch_size": 8})
    with pytest.raises(AssertionError):
        MyPlan().test_what_it_samples_is_not_fixed_as_well(dataclasses.replace(made, recipe=recipe), "digits")


def test_a_plan_that_confirms_in_fewer_epochs_than_it_tries(made: StudyPlan, tmp_path: Path) -> None:
    info = plugins.dataset("digits").info(tmp_path)
    with pytest.raises(AssertionError):
        MyPlan().test_its_lengths_suit_the_data(dataclasses.replace(made, confirm_epochs=made.epochs - 1), info)


class MyReport(ReportConformance):
    report = "mine"


def test_a_report_that_changes_its_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    def report(frames: Frames) -> pd.DataFrame:
        frames.runs["rank"] = 1
        return frames.runs

    monkeypatch.setattr(plugins, "report", lambda name: report)
    suite = MyReport()
    with pytest.raises(AssertionError):
        suite.test_the_same_frames_give_the_same_table_and_stay_as_they_are(example())


class Incomplete(Wrapper):
    def finish(self, timeout: float) -> str | None:
        return "the copy is not complete"


def test_an_observer_that_is_not_finished(tmp_path: Path) -> None:
    observer: Any = Incomplete(Silent())
    with pytest.raises(AssertionError):
        ObserverConformance().test_a_study_without_runs_is_copied_without_a_warning(observer)


class Silent:
    def opened(self, record: Any, epochs: Any) -> None: ...
    def measured(self, record: Any, epoch: Any) -> None: ...
    def closed(self, record: Any) -> None: ...
    def finish(self, timeout: float) -> str | None: ...


class Undecided(Wrapper):
    calls = 0

    def next_rung(self, epochs: int) -> int:
        return epochs

    def decide(self, curve: Curve, others: Sequence[Curve]) -> Decision:
        self.calls += 1
        return (Decision.GO_ON, Decision.PAUSE)[self.calls % 2]


def test_a_scheduler_that_changes_its_mind() -> None:
    scheduler: Any = Undecided(Promotion(epochs=16, direction="maximize"))
    with pytest.raises(AssertionError):
        SchedulerConformance().test_the_next_rung_lies_ahead_and_within_the_training(scheduler)
    with pytest.raises(AssertionError):
        SchedulerConformance().test_the_same_curves_give_the_same_decision_in_any_order(scheduler)


class Mute(Wrapper):
    def events(self, timeout: float) -> Sequence[Event]:
        return [event for event in self.inner.events(timeout) if not isinstance(event, Began)]


def test_an_executor_that_does_not_say_when_a_job_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executor: Any = Mute(InProcess(device="cpu", threads=1, data_folder=tmp_path))
    monkeypatch.chdir(with_prescribed_trainer(tmp_path))
    with pytest.raises(AssertionError):
        ExecutorConformance().test_a_job_is_trained_to_its_end(executor, tmp_path)
