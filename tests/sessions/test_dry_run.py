"""`--dry-run` says what a study would do, refuses what a real start would refuse, and writes nothing."""

import json
import shutil
from pathlib import Path

import pytest

from orchestrator.record import Kind, Status
from orchestrator.sessions.estimates.trials import Sizes, estimate
from orchestrator.storage.queue import SettingQueue
from orchestrator.storage.runs import RunsFolder
from tests.helpers.in_process_cli import Result, call, exit_code
from tests.helpers.in_process_study import conduct
from tests.helpers.paths import PLUGINS
from tests.helpers.records import epochs_of, record_of

QUIET = ("--mirror", "off", "--executor", "in-process")


@pytest.fixture(autouse=True)
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the test plug-ins, below the folder that is watched, as the working directory."""
    folder = Path(shutil.copytree(PLUGINS, tmp_path / "mine", ignore=shutil.ignore_patterns("__pycache__")))
    monkeypatch.chdir(folder)
    return folder


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Everything below a folder: when it was last changed, and what is in it."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


def planned(capsys: pytest.CaptureFixture[str], watched: Path, *words: str | Path) -> Result:
    before = tree(watched)
    result = call(capsys, "study", *words, "--dry-run", "--runs", watched / "runs", "--data-dir", watched / "data")
    assert tree(watched) == before
    return result


def test_a_new_study_is_shown_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = planned(capsys, tmp_path, "curves", "--trials", "8", "--workers", "2", "--budget", "6h", *QUIET[:2])
    assert (result.code, result.messages) == (0, "")
    for text in ("8 of 8 trials", "pruner median", "space      dropout", "workers    2 on ", "time       unknown", "6 h 00 min"):
        assert text in result.output
    plan = json.loads(planned(capsys, tmp_path, "curves", "--trials", "8", "--format", "json").output)
    assert plan["left"] == 8
    assert len(plan["settings"]) == 5
    assert plan["expected"] == {"runs": 0, "seconds": None, "bytes": None}
    records = conduct(tmp_path, 8)
    assert [{name: record.recipe.params[name] for name in plan["settings"][0]} for record in records[:5]] == plan["settings"]


def test_a_study_that_is_resumed_is_shown_with_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conduct(tmp_path, 14)
    folder = RunsFolder(tmp_path / "runs").known("curves")
    SettingQueue(folder).add({"dropout": 0.125})
    plan = json.loads(planned(capsys, tmp_path, "curves", "--trials", "20", "--budget", "1h", "--format", "json").output)
    assert plan["left"] == 6
    assert [setting["dropout"] for setting in plan["settings"]] == [0.125]
    low, high = plan["expected"]["seconds"]["low"], plan["expected"]["seconds"]["high"]
    assert plan["kept_back"]["epoch_seconds"] == 0.25
    before = {record.number: record.seconds for record in folder.runs(Kind.TRIAL)}
    records = conduct(tmp_path, 20)
    needed = sum(record.seconds for record in records if record.number not in before)
    assert 0.5 * low <= needed <= 2 * high
    assert low < high < 10 * low
    assert plan["expected"]["bytes"]["low"] > 1000
    assert {name: records[14].recipe.params[name] for name in plan["settings"][0]} == plan["settings"][0]
    other = json.loads(planned(capsys, tmp_path, "slow_curves", "--trials", "6", "--format", "json").output)
    assert other["expected"]["runs"] == 20  # measured in another study, on the same data with the same trainer


@pytest.mark.parametrize(
    "words",
    [
        ["curve"],
        ["curves"],
        ["curves", "--trials", "3", "--pruner", "medium"],
        ["curves", "--trials", "3", "--dataset", "digit"],
        ["curves", "--trials", "3", "--device", "cuda:7"],
        ["curves", "--trials", "3", "--workers", "0"],
        ["curves", "--trials", "3", "--budget", "6"],
        ["curves", "--trials", "3", "--study", "../elsewhere"],
        ["curves", "--trials", "3", "--seed", "1"],
        ["broken.py", "--trials", "3"],
    ],
)
def test_what_a_start_refuses_a_dry_run_refuses_with_the_same_code(
    tmp_path: Path, plugins: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    (plugins / "broken.py").write_text("DATASET = 'digits'\nplan = 1 / 0\n")
    if "--seed" in words:
        conduct(tmp_path, 1)
    result = planned(capsys, tmp_path, *words)
    assert result.output == ""
    assert result.messages.startswith("error: ")
    assert (
        result.code == exit_code("study", *words, "--runs", tmp_path / "runs", "--data-dir", tmp_path / "data", *QUIET[:2]) != 0
    )


def test_data_that_a_start_would_fetch_is_not_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = planned(capsys, tmp_path, "part1", "--trials", "3", "--device", "cpu")
    assert result.code == 0
    assert "cifar100 is not in" in result.messages
    assert "fetches it" in result.messages


def test_a_study_that_is_being_conducted_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conduct(tmp_path, 1)
    with RunsFolder(tmp_path / "runs").known("curves").lock():
        assert planned(capsys, tmp_path, "curves", "--trials", "3").code == 75


def test_an_estimate_holds_what_later_happens() -> None:
    measured = [record_of(n, epochs_of([0.5] * 6, seconds=2.0 + n / 10)) for n in range(5)]
    measured += [record_of(n, epochs_of([0.5] * 2, seconds=2.0), status=Status.PRUNED) for n in range(5, 10)]
    sizes = [Sizes(record=1000, checkpoint=1_000_000 if n < 3 else 0) for n in range(10)]
    found = estimate(measured, sizes, trials=20, epochs=6, fewest_epochs=2, at_a_time=2, devices=1, checkpoints=3)
    assert found.seconds is not None
    assert found.bytes is not None
    assert found.seconds.low == pytest.approx(20 * (4 - 2 * 2.108 / 10**0.5) * 2.0 / 2, rel=1e-3)
    assert found.seconds.high == pytest.approx(20 * (4 + 2 * 2.108 / 10**0.5) * 2.3, rel=1e-3)
    assert (found.bytes.low, found.bytes.high) == (3_020_000, 15_020_000)
    few = estimate(measured[:2], sizes[3:5], trials=1, epochs=6, fewest_epochs=2, at_a_time=8, devices=4, checkpoints=3)
    assert few.seconds is not None
    assert few.seconds.low == pytest.approx(2 * 2.0)
    assert few.seconds.high == pytest.approx(6 * 2.1)
    assert few.bytes is None
    assert "unknown" in few.disk()
