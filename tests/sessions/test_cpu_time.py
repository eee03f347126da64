"""A plan for a GPU is warned of on a CPU, with an estimate, before its first trial."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.recipe import Recipe
from orchestrator.record import RunRecord
from orchestrator.sessions.estimates import cpu_time
from orchestrator.sessions.estimates.cpu_time import Work, slow_work
from orchestrator.sessions.resources import Resources
from tests.helpers.in_process_cli import call
from tests.helpers.paths import PLUGINS
from tests.helpers.records import epochs_of, record_of

QUIET = ("--mirror", "off", "--executor", "in-process", "--device", "cpu")
RECIPE = Recipe(plan="curves", trainer="curve", dataset="digits", epochs=8, seed=0)


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)
    monkeypatch.delenv("ORCHESTRATE_STORAGE", raising=False)


def work(runs: int = 1_000, **params: Any) -> Work:
    return Work(recipe=replace(RECIPE, params=params), runs=runs, epochs=8, fewest_epochs=2, at_a_time=2)


def warning(tmp_path: Path, what: Work, known: Sequence[RunRecord] = ()) -> str | None:
    with slow_work(what, Resources(runs=tmp_path, device="cpu", executor="in-process"), known) as slow:
        return slow.warning()


def test_the_warning_says_what_takes_how_long() -> None:
    assert work().warning(3.0) is None or "50 min" in str(work().warning(3.0))
    assert work(runs=1).warning(1_800.0) is None  # two epochs may be all
    assert work(runs=40).warning(720.0) == (
        "warning: an epoch takes about 12 min on this CPU, so 40 trials of 8 epochs take about 8 h 00 min to 64 h 00 min. "
        "A GPU, a smaller model, or fewer trials or epochs take less"
    )
    single = Work(recipe=RECIPE, runs=1, epochs=20, fewest_epochs=20)
    assert "so 20 epochs take about 4 h 00 min. A GPU" in str(single.warning(720.0))


def test_a_run_that_was_measured_on_a_cpu_tells(tmp_path: Path) -> None:
    record = record_of(0, epochs_of([0.5] * 6, seconds=100.0))
    same = replace(record.recipe, trainer="curve")
    on_cpu = replace(record, recipe=same, provenance=replace(record.provenance, device="cpu"))
    assert "an epoch takes about 2 min on this CPU" in str(warning(tmp_path, work(misbehaviour="kill"), [on_cpu]))
    on_gpu = Resources(runs=tmp_path, device="cuda:0")
    with slow_work(work(), on_gpu, [on_cpu]) as slow:
        assert slow.warning() is None


def test_little_work_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: Any, **settings: Any) -> None:
        raise AssertionError("nothing is to be timed")

    monkeypatch.setattr("subprocess.Popen", refuse)
    assert warning(tmp_path, work(runs=40)) is None
    with slow_work(work(), Resources(runs=tmp_path, executor="ray"), []) as slow:
        assert slow.warning() is None


@pytest.mark.slow
def test_a_slow_trainer_is_timed(tmp_path: Path) -> None:
    """0.4 s for 32 images are 16 s for the 1,258 of the digits."""
    said = warning(tmp_path, work(seconds=0.4))
    assert said is not None
    assert re.match(r"warning: an epoch takes about 1[5-9] s on this CPU, so 1000 trials of 8 epochs take about ", said)


@pytest.mark.parametrize("misbehaviour", [pytest.param("kill", marks=pytest.mark.slow), "hang"])
def test_a_trainer_that_cannot_be_timed_is_no_reason_to_wait_or_to_fail(
    misbehaviour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_time, "_SECONDS_TO_TIME", 30.0 if misbehaviour == "kill" else 0.5)
    assert warning(tmp_path, work(misbehaviour=misbehaviour, at_epoch=1)) is None


@pytest.mark.slow
@pytest.mark.parametrize("command", ["study", pytest.param("train", marks=pytest.mark.slow)])
def test_it_is_said_before_the_first_epoch(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cpu_time, "_FEW_NUMBERS", 0.0)
    monkeypatch.setattr(cpu_time, "_HOUR", 1e-6)
    trials = ["--trials", "1"] if command == "study" else []
    result = call(capsys, command, "curves", *trials, "--epochs", "2", "--runs", tmp_path / "runs", *QUIET)
    assert result.code == 0
    lines = result.messages.splitlines()
    warned = next(number for number, line in enumerate(lines) if line.startswith("warning: an epoch takes about 0 s on this CPU"))
    first = next(number for number, line in enumerate(lines) if line.startswith(("[1/1]", "epoch 1/2")))
    assert warned < first
