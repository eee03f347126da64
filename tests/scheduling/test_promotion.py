"""The pruner `promote`: who pauses, who is resumed, and what becomes of the rest."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.record import Kind, RunRecord, Status
from orchestrator.scheduling.base import Curve, Decision
from orchestrator.scheduling.promotion import Promotion, rungs, share
from orchestrator.storage.runs import RunsFolder
from tests.helpers.in_process_study import conduct, results
from tests.helpers.paths import PLUGINS

EPOCHS = 50
FIRST, SECOND, THIRD = rungs(EPOCHS)


def curve(number: int, values: Sequence[float], status: Status = Status.PAUSED) -> Curve:
    return Curve(run_id=f"run-{number}", number=number, status=status, values=tuple(values))


def flat(level: float, epochs: int) -> list[float]:
    return [level] * epochs


@given(st.integers(1, 500))
def test_rungs_lie_within_the_training_and_none_before_the_second_epoch(epochs: int) -> None:
    found = rungs(epochs)
    assert list(found) == sorted(set(found))
    assert all(2 <= rung < epochs for rung in found)
    assert found or epochs <= 2
    scheduler = Promotion(epochs=epochs, direction="maximize")
    stops, stands = [], 0
    while stands < epochs:
        stands = scheduler.next_rung(stands)
        stops.append(stands)
    assert stops == [*found, epochs]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_best_share_goes_on_and_the_others_wait(direction: str) -> None:
    sign = 1.0 if direction == "maximize" else -1.0
    scheduler = Promotion(epochs=EPOCHS, direction="maximize" if sign > 0 else "minimize")
    curves = [curve(number, flat(sign * number / 100, FIRST)) for number in range(40)]
    going = [
        each.number
        for each in curves
        if scheduler.decide(each, [other for other in curves if other is not each]) is Decision.GO_ON
    ]
    assert going == list(range(40 - math.floor(40 * share(FIRST, FIRST, 40)), 40))


def test_between_rungs_a_run_goes_on() -> None:
    scheduler = Promotion(epochs=EPOCHS, direction="maximize")
    others = [curve(number, flat(0.9, FIRST)) for number in range(1, 20)]
    assert scheduler.decide(curve(0, flat(0.0, FIRST + 1)), others) is Decision.GO_ON
    assert scheduler.decide(curve(0, flat(0.0, FIRST)), others) is Decision.PAUSE


def test_a_steep_curve_gets_one_of_the_bold_places() -> None:
    """A high learning rate begins badly, and falls faster than any other."""
    scheduler = Promotion(epochs=EPOCHS, direction="minimize")
    steep = curve(99, [4.0, 3.0, 2.0])
    dull = [curve(number, flat(1.0 + number / 100, FIRST)) for number in range(39)]
    assert steep.values[-1] > max(each.values[-1] for each in dull)
    assert scheduler.decide(steep, dull) is Decision.GO_ON
    assert scheduler.decide(curve(99, flat(2.0, FIRST)), dull) is Decision.PAUSE


def test_the_one_that_has_come_furthest_is_resumed_first() -> None:
    scheduler = Promotion(epochs=EPOCHS, direction="maximize")
    beginners = [curve(number, flat(number / 100, FIRST)) for number in range(40)]
    further = [curve(40 + number, flat(0.5 + number / 100, SECOND)) for number in range(4)]
    assert scheduler.resume([*beginners, *further], [], last=False) == "run-43"
    assert scheduler.resume(beginners, further, last=False) == "run-39"


def test_none_is_resumed_before_enough_trials_were_seen_unless_no_new_one_follows() -> None:
    scheduler = Promotion(epochs=EPOCHS, direction="maximize")
    paused = [curve(number, flat(number / 10, FIRST)) for number in range(3)]
    assert scheduler.resume(paused, [], last=False) is None
    assert scheduler.resume(paused, [], last=True) == "run-2"


def test_failed_trials_take_no_promotion_from_others() -> None:
    scheduler = Promotion(epochs=EPOCHS, direction="maximize")
    failed = [curve(number, flat(0.9, SECOND), Status.FAILED) for number in range(20)]
    paused = [curve(20 + number, flat(number / 100, FIRST)) for number in range(20)]
    assert scheduler.resume(paused, failed, last=False) == "run-39"


def test_values_that_are_not_finite_come_last() -> None:
    scheduler = Promotion(epochs=EPOCHS, direction="minimize")
    lost = curve(0, [1.0, math.nan, math.nan])
    others = [curve(number, flat(float(number), FIRST)) for number in range(1, 40)]
    assert scheduler.decide(lost, others) is Decision.PAUSE
    assert scheduler.decide(others[0], [lost, *others[1:]]) is Decision.GO_ON


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_the_order_in_which_curves_are_given_does_not_matter(levels: list[float]) -> None:
    scheduler = Promotion(epochs=EPOCHS, direction="maximize")
    paused = [curve(number, flat(level, FIRST)) for number, level in enumerate(levels)]
    assert scheduler.resume(paused, [], last=True) == scheduler.resume(paused[::-1], [], last=True)


# ---------------------------------------------------------------------------------------------------- a whole study


@pytest.fixture
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


def trials(folder: Path) -> list[RunRecord]:
    return list(RunsFolder(folder / "runs").known("curves").runs(Kind.TRIAL))


@pytest.mark.usefixtures("in_plugin_folder")
def test_a_study_trains_few_trials_out_and_ends_the_rest_as_pruned(tmp_path: Path) -> None:
    conduct(tmp_path, 20, pruner="promote")
    found = trials(tmp_path)
    assert len(found) == 20
    assert {record.status for record in found} <= {Status.COMPLETE, Status.PRUNED, Status.FAILED}
    complete = [record for record in found if record.status is Status.COMPLETE]
    assert 1 <= len(complete) <= 8
    stops = {*rungs(found[0].recipe.epochs), found[0].recipe.epochs}
    folder = RunsFolder(tmp_path / "runs").known("curves")
    for record in found:
        numbers = [epoch.number for epoch in folder.folder(record).epochs()]
        assert numbers == list(range(1, len(numbers) + 1))  # each epoch once
        assert len(numbers) in stops or record.status is Status.FAILED
        assert folder.folder(record).resumable == (record.status is Status.PRUNED)


@pytest.mark.usefixtures("in_plugin_folder")
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_study_of_few_trials_has_a_winner_too(number: int, tmp_path: Path) -> None:
    conduct(tmp_path, number, pruner="promote")
    assert any(record.status is Status.COMPLETE for record in trials(tmp_path))


@pytest.mark.usefixtures("in_plugin_folder")
def test_a_promoted_trial_is_what_it_would_have_been_without_a_pause(tmp_path: Path) -> None:
    conduct(tmp_path / "promoted", 8, pruner="promote", sampler="random")
    conduct(tmp_path / "whole", 8, pruner="none", sampler="random")
    promoted = results(RunsFolder(tmp_path / "promoted" / "runs").known("curves"))
    whole = results(RunsFolder(tmp_path / "whole" / "runs").known("curves"))
    assert promoted != whole
    complete = 0
    for paused, full in zip(trials(tmp_path / "promoted"), trials(tmp_path / "whole"), strict=True):
        if paused.status is Status.COMPLETE:
            complete += 1
            assert (paused.recipe, paused.best, paused.epochs) == (full.recipe, full.best, full.epochs)
    assert complete
