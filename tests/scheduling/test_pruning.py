"""Optuna's pruners as schedulers: they see curves alone, and decide the same whether they saw them grow or not."""

import random
from collections.abc import Iterable, Sequence
from typing import Literal

import optuna
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import MedianPruner, PatientPruner

from orchestrator.errors import UnknownName
from orchestrator.record import Status
from orchestrator.scheduling.base import Curve, Decision
from orchestrator.scheduling.optuna_pruners import PRUNERS
from orchestrator.scheduling.pruning import Pruning
from orchestrator.scheduling.schedulers import scheduler

EPOCHS = 8


class Study:
    """A scheduler and the curves that it is asked about."""

    def __init__(
        self,
        pruner: str | optuna.pruners.BasePruner,
        *,
        seed: int = 0,
        direction: Literal["maximize", "minimize"] = "maximize",
        curves: Iterable[Curve] = (),
    ) -> None:
        self.scheduler = scheduler(pruner, epochs=EPOCHS, direction=direction, seed=seed)
        self.curves = {curve.number: curve for curve in curves}

    def know(self, number: int, values: Sequence[float], status: Status = Status.RUNNING) -> None:
        self.curves[number] = Curve(run_id=f"s/trials/{number:04d}", number=number, status=status, values=tuple(values))

    def decide(self, number: int) -> Decision:
        others = [curve for other, curve in self.curves.items() if other != number]
        return self.scheduler.decide(self.curves[number], others)


@pytest.mark.parametrize("pruner", [name for name in PRUNERS if name not in ("none", "promote")])
def test_a_decision_that_is_still_to_be_made_is_the_same_in_the_next_session(pruner: str) -> None:
    """Also where a pruner notes in a trial what it was asked: killed after any epoch, before its decision."""
    draw = random.Random(5)
    levels = [draw.random() for _ in range(12)]
    alone = Study(pruner, seed=3)
    decisions = []
    for number, level in enumerate(levels):
        values: list[float] = []
        decision = Decision.GO_ON
        while decision is Decision.GO_ON and len(values) < EPOCHS - 1:
            values.append(level * (1 - 0.7 ** (len(values) + 1)))
            alone.know(number, values)
            decision = alone.decide(number)
            decisions.append(decision)
            assert Study(pruner, seed=3, curves=alone.curves.values()).decide(number) is decision
        if decision is Decision.STOP:
            alone.know(number, values, Status.PRUNED)
        else:
            alone.know(number, [*values, level], Status.COMPLETE)
    assert Decision.GO_ON in decisions
    assert Decision.STOP in decisions or pruner == "patient"


@pytest.mark.parametrize("pruner", ["asha", "hyperband"])
def test_an_attempt_that_begins_again_passes_the_rungs_that_it_had_passed(pruner: str) -> None:
    """On the way back to where it was nothing is decided; what the pruner notes of it must be as if nothing had been lost."""

    def noted(study: Study) -> dict[str, float]:
        assert isinstance(study.scheduler, Pruning)
        (trial,) = [trial for trial in study.scheduler._study.get_trials() if trial.number == 0]
        return {name: value for name, value in trial.system_attrs.items() if "rung" in name}

    alone, retried = Study(pruner, seed=3), Study(pruner, seed=3)
    values = [0.30 + 0.01 * epoch for epoch in range(1, 8)]
    for study in (alone, retried):
        for epoch in range(1, 7):
            study.know(0, values[:epoch])
            study.decide(0)
    retried.know(0, values[:1])  # its worker was lost, and its checkpoint is of an earlier epoch
    retried.know(1, [0.2])
    retried.decide(1)
    for epoch in range(2, 8):
        retried.know(0, values[:epoch])
    for study in (alone, retried):
        study.know(0, values)
        study.decide(0)
    assert noted(alone)
    assert noted(retried) == noted(alone)


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
def test_a_missing_trial_leaves_the_numbers_of_the_others(pruner: str) -> None:
    study = Study(pruner)
    for number in (0, 2):
        study.know(number, [0.5], Status.COMPLETE)
    study.know(3, [0.1])
    assert study.decide(3) is Decision.GO_ON
    assert isinstance(study.scheduler, Pruning)
    assert len(study.scheduler._study.get_trials()) == 4


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
def test_a_suspended_trial_that_is_resumed_is_asked_about_again(pruner: str) -> None:
    study, again = Study(pruner), Study(pruner)
    study.know(0, [0.5])
    study.decide(0)
    study.know(0, [0.5], Status.PAUSED)
    study.know(1, [0.4])
    study.decide(1)
    study.know(0, [0.5, 0.6])
    for number, values in ((0, [0.5, 0.6]), (1, [0.4])):
        again.know(number, values)
    assert study.decide(0) is again.decide(0)


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
def test_a_curve_that_grows_is_told_and_not_computed_again(pruner: str) -> None:
    """A study of many trials must not become slower with each."""
    study = Study(pruner)
    learn(study, [0.9, 0.8, 0.7])
    assert isinstance(study.scheduler, Pruning)
    before = study.scheduler._study
    study.know(3, [0.5])
    study.know(4, [0.6])
    study.decide(3)
    study.know(4, [0.6, 0.7])
    study.decide(4)
    assert study.scheduler._study is before


def learn(study: Study, levels: Sequence[float]) -> list[Decision]:
    """Train one trial after the other, each as good as its level, and decide after every epoch but the last."""
    decisions = []
    for number, level in enumerate(levels):
        decision = Decision.GO_ON
        for epochs in range(1, EPOCHS + 1):
            values = [level * (1 - 0.5**epoch) for epoch in range(1, epochs + 1)]
            study.know(number, values)
            if epochs < EPOCHS:
                decision = study.decide(number)
            if decision is Decision.STOP:
                break
        study.know(number, values, Status.PRUNED if decision is Decision.STOP else Status.COMPLETE)
        decisions.append(decision)
    return decisions


@pytest.mark.parametrize("name", [name for name in PRUNERS if name not in ("none", "patient", "promote")])
def test_every_pruner_ends_hopeless_trials_and_lets_the_best_run_out(name: str) -> None:
    levels = [0.8, 0.7, 0.75, 0.6, 0.65, *[0.1, 0.12, 0.95] * 6]
    decisions = learn(Study(name), levels)
    of_hopeless = [decision for level, decision in zip(levels, decisions, strict=True) if level < 0.2]
    assert of_hopeless.count(Decision.STOP) >= len(of_hopeless) / 2
    assert decisions[7] is Decision.GO_ON  # the first of the best


def test_nothing_is_pruned_where_nothing_is_asked_to() -> None:
    study = Study("none")
    assert set(learn(study, [0.9] * 6 + [0.01] * 6)) == {Decision.GO_ON}
    assert study.scheduler.next_rung(0) >= EPOCHS


def test_the_median_waits_for_five_trials_and_two_epochs() -> None:
    assert Decision.STOP not in learn(Study("median"), [0.9, 0.8, 0.1, 0.05, 0.04])
    study = Study("median")
    learn(study, [0.9, 0.8, 0.7, 0.85, 0.9])
    study.know(5, [0.0])
    assert study.decide(5) is Decision.GO_ON
    study.know(5, [0.0, 0.0])
    assert study.decide(5) is Decision.STOP


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_patient_one_ends_only_what_is_hopeless_and_flat(direction: Literal["maximize", "minimize"]) -> None:
    sign = 1.0 if direction == "maximize" else -1.0
    study = Study("patient", direction=direction)
    learn(study, [0.9 * sign, 0.8 * sign, 0.7 * sign, 0.85 * sign, 0.95 * sign])
    decisions = []
    for values in ([0.1], [0.1] * 2, [0.1] * 2 + [0.2], [0.1] * 2 + [0.2] * 2, [0.1] * 2 + [0.2] * 3):
        study.know(5, [sign * value for value in values])
        decisions.append(study.decide(5))
    assert decisions == [Decision.GO_ON] * 4 + [Decision.STOP]


def test_optunas_own_patient_pruner_never_prunes_the_best_value_so_far() -> None:
    with pytest.warns(ExperimentalWarning):
        theirs = PatientPruner(MedianPruner(5, 2), patience=2)
    for pruner, expected in ((theirs, Decision.GO_ON), (MedianPruner(5, 2), Decision.STOP)):
        study = Study(pruner)
        learn(study, [0.9, 0.8, 0.7, 0.85, 0.9])
        study.know(5, [0.1] * 7)
        assert study.decide(5) is expected


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownName, match="known: median"):
        Study("medium")
