"""No setting is trained twice by accident, with one worker or eight; what is trained twice on purpose is recorded as such."""

from collections import Counter, deque
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from orchestrator import plugins
from orchestrator.contracts import StudyPlan
from orchestrator.record import Kind, Provenance, RunRecord, Status
from orchestrator.search.optuna_study import OptunaStudy
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from tests.helpers.in_process_study import conduct, results
from tests.helpers.paths import PLUGINS
from tests.helpers.subprocess_cli import run

TRIALS = 40


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


@pytest.fixture
def grid() -> StudyPlan:
    _, dataset, make = plugins.plan("grid")
    return make(dataset, plugins.dataset(dataset).info(Path("nowhere")))


def objective(params: dict[str, object]) -> float:
    rate, dropout, smoothing = (float(str(params[name])) for name in ("learning_rate", "dropout", "label_smoothing"))
    return 1 - abs(rate - 0.03) - dropout - smoothing / 2


def asked(
    plan: StudyPlan, seed: int, workers: int, *, trials: int = TRIALS, sampler: str = "tpe", pruner: str = "none"
) -> list[str]:
    """The settings that a study asks for while so many workers are at work; every fifth trial is pruned, every ninth fails."""
    study = OptunaStudy(plan, seed=seed, sampler=sampler, pruner=pruner)
    running: deque[RunRecord] = deque()
    settings = []
    for number in range(trials):
        params, _ = study.ask(number)
        settings.append(str(sorted(params.items())))
        record = RunRecord(
            run_id=f"grid/trials/{number:04d}",
            kind=Kind.TRIAL,
            number=number,
            recipe=replace(plan.recipe, params=params),
            provenance=Provenance(study="u"),
        )
        study.know(record, [])
        running.append(record)
        if len(running) == workers:
            done = running.popleft()
            status = Status.PRUNED if done.number % 5 == 4 else Status.FAILED if done.number % 9 == 8 else Status.COMPLETE
            study.know(replace(done, status=status), [objective(dict(done.recipe.params))] * 3)
    return settings


def test_optuna_alone_repeats_itself_here(grid: StudyPlan) -> None:
    repeats = []
    for seed in range(3):
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        found = set()
        for _ in range(TRIALS):
            trial = study.ask(dict(grid.space))
            found.add(str(sorted(trial.params.items())))
            study.tell(trial, objective(trial.params))
        repeats.append(TRIALS - len(found))
    assert min(repeats) >= 4


@pytest.mark.parametrize(
    ("sampler", "pruner", "workers"),
    [
        ("tpe", "hyperband", 8),
        *(
            pytest.param(*pair, workers, marks=pytest.mark.slow)
            for pair in (("tpe", "none"), ("random", "none"), ("tpe", "hyperband"))
            for workers in (1, 8)
            if (*pair, workers) != ("tpe", "hyperband", 8)
        ),
    ],
)
def test_forty_trials_on_a_grid_are_forty_settings(grid: StudyPlan, workers: int, sampler: str, pruner: str) -> None:
    for seed in range(3):
        assert len(set(asked(grid, seed, workers, sampler=sampler, pruner=pruner))) == TRIALS


@pytest.mark.slow
def test_a_grid_is_covered_to_its_last_point(grid: StudyPlan) -> None:
    assert len(set(asked(grid, 0, 8, trials=144))) == 144


def folder(tmp_path: Path, name: str) -> StudyFolder:
    return RunsFolder(tmp_path / "runs").known(name)


@pytest.mark.slow
def test_a_study_on_a_grid_has_no_duplicates_and_goes_on_as_one_left_alone(quick: Path) -> None:
    records = conduct(quick / "alone", TRIALS, plan="grid")
    assert len({record.recipe.configuration() for record in records}) == TRIALS
    assert all(record.replicate_of is None for record in records)
    for trials in (27, TRIALS):
        conduct(quick / "resumed", trials, plan="grid")
    assert results(folder(quick / "resumed", "grid")) == results(folder(quick / "alone", "grid"))


def test_an_exhausted_space_ends_the_study_and_says_so(quick: Path) -> None:
    said: list[str] = []
    records = conduct(quick, 10, plan="six", say=said.append)
    assert len(records) == len({record.recipe.configuration() for record in records}) == 6
    assert [line for line in said if "every setting" in line]
    assert conduct(quick, 12, plan="six") == records


def test_on_request_an_exhausted_space_is_replicated_evenly_with_fresh_seeds(quick: Path) -> None:
    first = conduct(quick, 6, plan="six", pruner="none", replicate=True)
    records = conduct(quick, 20, plan="six", pruner="none", replicate=True)
    assert records[:6] == first
    by_name = {record.run_id: record for record in records}
    for record in records[6:]:
        assert record.replicate_of is not None
        original = by_name[record.replicate_of]
        assert original.replicate_of is None
        assert original.recipe.configuration() == record.recipe.configuration()
    assert len({record.recipe.seed for record in records}) == 20
    counts = Counter(record.recipe.configuration() for record in records)
    assert sorted(counts.values()) == [3, 3, 3, 3, 4, 4]
    assert records[6].replicate_of == min(first, key=RunRecord.order).run_id
    conduct(quick / "alone", 20, plan="six", pruner="none", replicate=True)
    assert results(folder(quick / "alone", "six")) == results(folder(quick, "six"))


def test_a_setting_that_only_failed_is_not_replicated(quick: Path) -> None:
    broken = {"misbehaviour": "diverge", "at_epoch": 1}
    records = conduct(quick, 11, plan="six", pruner="none", replicate=True, fixed={2: broken})
    assert records[2].status is Status.FAILED
    assert sorted(Counter(record.replicate_of for record in records[6:]).values()) == [1] * 5
    assert records[2].run_id not in {record.replicate_of for record in records}


@pytest.mark.slow
def test_eight_worker_processes_train_no_setting_twice(tmp_path: Path) -> None:
    words = ("study", "grid", "--trials", str(TRIALS), "--workers", "8", "--mirror", "off")
    run(*words, "--runs", tmp_path / "runs", "--data-dir", tmp_path)
    records = folder(tmp_path, "grid").runs(Kind.TRIAL)
    assert len({record.recipe.configuration() for record in records}) == len(records) == TRIALS
