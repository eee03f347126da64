"""Every setting of docs/training.md, models.md and augmentation.md can be searched over, in each way the documents write it.

The plans, the trainers' checks and all that is kept of a trial are real; only the epochs are not trained, which takes too long.
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import optuna
import pytest
from optuna.distributions import CategoricalDistribution

from orchestrator import plugins
from orchestrator.contracts import Data
from orchestrator.hyperparameters import complete, names
from orchestrator.observers.optuna import open_copy
from orchestrator.observers.replay import replay
from orchestrator.recipe import Recipe
from orchestrator.record import Kind, RunRecord, Status
from orchestrator.search import spaces
from orchestrator.search.written_values import any_choices, written_by
from orchestrator.sessions.dry_run import dry_run
from orchestrator.sessions.enqueue import enqueue
from orchestrator.sessions.observers import copy_configuration
from orchestrator.sessions.open_study import Request
from orchestrator.sessions.resources import Resources
from orchestrator.storage.queue import SettingQueue
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.storage.study_options import Limits
from orchestrator.support.serialization import to_plain
from orchestrator.testing.prescribed_trainer import PrescribedTraining
from tests.helpers.in_process_cli import call
from tests.helpers.in_process_study import conduct
from tests.helpers.paths import ROOT
from tests.search.searched_settings import AUGMENTATION, EVERY, LOOP, SearchedSetting
from trainers.augmentation.mixing import Mix
from trainers.augmentation.transforms import Transform
from trainers.loop.averaging import Averaging
from trainers.loop.hyperparameters import LoopHyperparameters
from trainers.loop.optimizers import AnyOptimizer
from trainers.loop.schedules.learning_rate import AnySchedule
from trainers.loop.trainer import SupervisedTrainer

PLAN = """
from optuna.distributions import CategoricalDistribution
from orchestrator.contracts import StudyPlan
from orchestrator.recipe import Recipe

DATASET = "digits"


def plan(dataset, info):
    recipe = Recipe(plan="searched", trainer={trainer!r}, dataset=dataset, epochs={epochs}, seed=0, params={fixed!r})
    space = {{{setting!r}: CategoricalDistribution({choices!r})}}
    return StudyPlan(recipe=recipe, space=space, epochs={epochs}, confirm_epochs={epochs}, retrain_epochs={epochs}, pruner="none")
"""

MOST_TRAINED_AGAIN = 2
# Names that mean nothing without a setting, on images of 8×8 grey pixels.
NOTHING_BY_DEFAULT = ("color-jitter", "cutout")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[optuna.storages.RDBStorage]:
    """One database for the copies of all studies, as stock Optuna opens it: to make one takes longer than a study."""
    opened = optuna.storages.RDBStorage(f"sqlite:///{tmp_path_factory.mktemp('database') / 'optuna.db'}")
    yield opened
    opened.engine.dispose()


@pytest.fixture
def epochs_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(trainer: SupervisedTrainer, recipe: Recipe, data: Data, device: str) -> PrescribedTraining:
        return PrescribedTraining(replace(recipe, params={}))

    monkeypatch.setattr(SupervisedTrainer, "begin", begin)


@pytest.fixture(autouse=True)
def one_connection(monkeypatch: pytest.MonkeyPatch, storage: optuna.storages.RDBStorage) -> None:
    monkeypatch.setattr("orchestrator.observers.optuna.connect", lambda url: storage)


def completed(search: SearchedSetting) -> list[Any]:
    """Each choice as a record has it, plain."""
    kinds = plugins.trainer(search.trainer).hyperparameters
    return [to_plain(complete(kinds, {**search.fixed, search.setting: choice})[search.setting]) for choice in search.choices]


def ways(search: SearchedSetting) -> Iterator[tuple[int, str]]:
    """Number of a choice, and a text that means it: as a plan says it, in full, and as the table says."""
    for number, (choice, full) in enumerate(zip(search.choices, completed(search), strict=True)):
        yield number, choice if isinstance(choice, str) else json.dumps(choice)
        yield number, json.dumps(full, sort_keys=True, indent=1)
        yield from ((number, text) for text in search.texts.get(number, ()))


def searches() -> Iterator[Any]:
    """Every setting. Numbers and words are recorded as they are written, so after one of each type the others are slow tests."""
    seen: set[type] = set()
    for search in EVERY:
        if search.begins:
            kinds = {type(choice) for choice in search.choices}
            alike = kinds <= {int, float, str} and bool(kinds & seen)
            seen |= kinds
            yield pytest.param(search, id=search.name, marks=pytest.mark.slow if alike else ())


@pytest.mark.usefixtures("epochs_take_no_time")
@pytest.mark.parametrize("search", list(searches()))
def test_a_setting_can_be_searched_in_every_way_it_is_written(
    search: SearchedSetting, quick: Path, storage: optuna.storages.RDBStorage, capsys: pytest.CaptureFixture[str]
) -> None:
    file = quick / f"{search.name}.py"
    file.write_text(PLAN.format(**vars(search)))
    runs, count, plan = quick / "runs", len(search.choices), str(file)
    folder, full = StudyFolder(runs, search.name), completed(search)
    waiting = SettingQueue(folder)

    def chosen(records: Sequence[RunRecord]) -> list[int]:
        return [full.index(to_plain(record.recipe.params[search.setting])) for record in records]

    planned = dry_run(Request(trials=count, plan=plan), Limits(), Resources(runs=runs, device="cpu"), lambda line: None)
    assert not runs.exists()
    expected = [search.choices.index(setting[search.setting]) for setting in json.loads(json.dumps(planned.plain()))["settings"]]
    assert search.setting in planned.text()

    conduct(quick, 1, plan=plan)
    said: list[str] = []
    records = conduct(quick, count + 1, say=said.append, plan=plan)  # resumes, and finds the space exhausted
    assert [record.status for record in records] == [Status.COMPLETE] * count
    assert sorted(chosen(records)) == list(range(count))
    assert chosen(records)[: len(expected)] == expected
    assert any("every setting" in line for line in said)

    enqueued: list[int] = []
    for number, text in ways(search):
        said.clear()
        enqueue(folder, [f"{search.setting}={text}"], said.append)
        newest = waiting.names()[-1]
        assert any("this is the setting of" in line for line in said), text
        assert any("waiting already" in line for line in said) == (number in enqueued), text
        assert to_plain(waiting.params(newest)) == {search.setting: search.choices[number]}
        if number in enqueued or len(enqueued) == MOST_TRAINED_AGAIN:
            waiting.remove(newest)
        else:
            enqueued.append(number)
    records = conduct(quick, count + len(enqueued) + 1, replicate=True, plan=plan)
    again = records[count:]
    assert chosen(again)[:-1] == enqueued
    originals = dict(zip(chosen(records[:count]), records[:count], strict=True))
    assert [record.replicate_of for record in again] == [originals[number].run_id for number in chosen(again)]

    assert_published(search, folder, storage, chosen(records))
    result = call(capsys, "leaderboard", "--runs", runs, "--format", "csv")
    assert result.code == 0, result.messages
    assert search.setting in result.output


def assert_published(
    search: SearchedSetting, folder: StudyFolder, storage: optuna.storages.RDBStorage, chosen: list[int]
) -> None:
    """Stock Optuna reads the plan's own choices in the copy of the first trials, and nothing is outside the space."""
    records = sorted(folder.runs(Kind.TRIAL), key=lambda record: record.number)[: len(search.choices)]
    configuration = copy_configuration(folder.read(), str(storage.url), RunsFolder(folder.path.parent), folder, records)
    copy = open_copy(json.loads(json.dumps(configuration)))
    replay(copy, ((record, folder.folder(record).epochs()) for record in records))
    assert copy.finish(60.0) is None
    with any_choices():
        copied = optuna.load_study(study_name=search.name, storage=storage).trials
    assert [trial.params for trial in copied] == [{search.setting: search.choices[number]} for number in chosen[: len(records)]]
    assert not any("outside the space" in name for trial in copied for name in trial.user_attrs)


@pytest.mark.parametrize("search", [search for search in EVERY if not search.begins], ids=lambda search: search.name)
def test_a_setting_of_a_large_network_is_found_however_it_is_written(search: SearchedSetting) -> None:
    """Without training: the points of the space, and what a user may enqueue."""
    written = written_by(search.trainer)
    with any_choices():
        distribution = CategoricalDistribution(search.choices)
    points = spaces.points({search.setting: distribution}, written)
    for number, full in enumerate(completed(search)):
        assert points.setting({search.setting: full}) == {search.setting: search.choices[number]}
        assert points.coordinates({search.setting: full}) == (float(number),)
    for number, text in ways(search):
        assert spaces.value(distribution, search.setting, text, written) == search.choices[number]


def test_no_setting_of_the_documents_is_left_out() -> None:
    searched = {(search.trainer, search.setting) for search in EVERY}
    for name in ("cnn", "resnet", "efficientnet", "convnext"):
        own = names(plugins.trainer(name).hyperparameters[:1])
        assert {(name, setting) for setting in own} <= searched
        assert all(setting in (ROOT / "docs" / "models.md").read_text() for setting in own)
    loop = {name for row in _rows("training.md") for name in row if name in names([LoopHyperparameters])}
    assert loop == set(names([LoopHyperparameters])) == {search.setting for search in (*LOOP, *AUGMENTATION)}
    assert {row[0] for row in _rows("augmentation.md")} == set(map(_own_name, get_args(Transform)))


@pytest.mark.parametrize(
    ("setting", "kinds"),
    [
        ("optimizer", AnyOptimizer),
        ("schedule", AnySchedule),
        ("averaging", Averaging),
        ("mixing", Mix),
        ("augmentation", Transform),
    ],
)
def test_every_name_is_searched_alone_and_as_a_mapping(setting: str, kinds: Any) -> None:
    (search,) = [search for search in EVERY if search.setting == setting]
    said = [*search.choices, *(value for texts in search.texts.values() for text in texts if (value := _json(text)) is not None)]
    parts = [part for value in said for part in (value if isinstance(value, list) else [value])]
    for kind in get_args(kinds):
        name = _own_name(kind)
        assert any(isinstance(part, dict) and part["name"] == name for part in parts), name
        if all(_has_default(field) for field in dataclasses.fields(kind)):
            assert name in parts or name in NOTHING_BY_DEFAULT


def _rows(document: str) -> list[list[str]]:
    """The names in the first column of a document's tables."""
    lines = (ROOT / "docs" / document).read_text().splitlines()
    return [found for line in lines if (found := re.findall(r"`([\w-]+)`", line.split("|")[1] if line.startswith("| `") else ""))]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _own_name(kind: type) -> str:
    """The name by which a recipe chooses it."""
    return next(str(field.default) for field in dataclasses.fields(kind) if field.name == "name")


def _has_default(field: "dataclasses.Field[Any]") -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
